//! What large bodies over HTTP cost this process: a few pieces, whatever their size.
//!
//! A binary of its own with one test, since the whole process is measured; the server is
//! two small buffers in it.

// A test may stop where it stands; `clippy.toml` knows only `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::time::Duration;

use stheno_config::{
    ByteSize, CpuLimit, HostPattern, HttpGrant, HttpMaxRequest, HttpMaxResponse, HttpMethod,
    HttpScheme, HttpSecret, HttpTimeout, Limits, SecretName, SecretPlace, TimeoutLimit,
};
use stheno_hostile::{ask, engine, terms, try_load};
use stheno_test_support::{Footprint, Peak};

const MIB: usize = 256;
/// What a body may cost beyond a process that is warm.
const SLACK: u64 = 16 << 20;
/// As the guest has it: byte by byte, the place in the body.
const PERIOD: usize = 251;

/// Takes bodies and makes them, on a thread for each connection; gives its port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || while answer(&stream).is_some() {});
        }
    });
    port
}

/// Answers one request; none at the end of the connection.
fn answer(mut stream: &TcpStream) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let block: Vec<u8> = (0..PERIOD * 512).map(|at| (at % PERIOD) as u8).collect();
    let said = |size: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        let (size, mut at) = (length.parse::<usize>().unwrap(), 0);
        let mut piece = vec![0; PERIOD * 256];
        while at < size {
            let read = stream.read(&mut piece).unwrap();
            let from = at % PERIOD;
            assert!(read > 0 && piece[..read] == block[from..from + read], "{at}");
            at += read;
        }
        let told = format!("{at} bytes");
        stream.write_all((said(told.len()) + &told).as_bytes()).ok()
    } else {
        let mib: usize = head.split(['/', ' ']).find_map(|word| word.parse().ok()).unwrap();
        let mut left = mib << 20;
        stream.write_all(said(left).as_bytes()).ok()?;
        while left > 0 {
            let piece = &block[..left.min(block.len())];
            stream.write_all(piece).ok()?;
            left -= piece.len();
        }
        Some(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_any_size_costs_a_few_pieces_up_and_down() {
    let mut grant = HttpGrant::new(HostPattern::parse("127.0.0.1").unwrap());
    grant.scheme = HttpScheme::Http;
    grant.port = NonZeroU16::new(serve()).unwrap();
    grant.methods = ["GET", "PUT"].map(|method| HttpMethod::new(method).unwrap()).into();
    grant.max_request = HttpMaxRequest::new(ByteSize::mib(MIB as u64)).unwrap();
    grant.max_response = HttpMaxResponse::new(ByteSize::mib(MIB as u64)).unwrap();
    grant.timeout = HttpTimeout::new(Duration::from_secs(300)).unwrap();
    let mut looking = grant.clone();
    // What comes back is then searched.
    let (name, place) = (SecretName::new("key").unwrap(), SecretPlace::header("x-key").unwrap());
    looking.secrets = vec![HttpSecret::new(name, place, "hunter2hunter2").unwrap()];
    for grant in [grant, looking] {
        let url = format!("http://127.0.0.1:{}", grant.port);
        let mut terms = terms(Limits {
            cpu: CpuLimit::new(Duration::from_secs(60)).unwrap(),
            timeout: TimeoutLimit::new(Duration::from_secs(300)).unwrap(),
            ..Limits::default()
        });
        terms.grants.add_http(grant);
        let guest = try_load(&engine(env!("CARGO_TARGET_TMPDIR")), "http-cache", terms).await;
        let guest = guest.unwrap();
        let told = |mib: usize| format!("200 {} bytes", mib << 20);
        assert_eq!(ask(&guest, &format!("upload 4 {url}/")).await.unwrap(), told(4));
        assert_eq!(ask(&guest, &format!("download {url}/4")).await.unwrap(), told(4));
        let before = Footprint::now();
        for way in [format!("upload {MIB} {url}/"), format!("download {url}/{MIB}")] {
            let peak = Peak::watch();
            assert_eq!(ask(&guest, &way).await.unwrap(), told(MIB), "{way}");
            let peak = peak.end();
            println!("{way}: {before}, at most {peak}");
            assert!(peak.resident_beyond(&before) <= SLACK, "{way}: {before}, then {peak}");
        }
    }
}
