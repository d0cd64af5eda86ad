//! Requests over HTTP: nothing without a grant, and with one what it says.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stheno::Runtime;
use stheno::config::{
    ByteSize, Config, HostPattern, HttpGrant, HttpMaxRequest, HttpMaxResponse, HttpMethod,
    HttpScheme, HttpSecret, HttpTimeout, Limits, PathPrefix, SecretName, SecretPlace,
};
use stheno_engine::{Aspect, LoadError};
use stheno_hostile::{Guest, ask, denied, terms, try_load};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::engine;

const HTTP: &str = "http-cache";
const SECRET: &str = "hunter2hunter2";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// What a server does once it has read a head.
#[derive(Clone)]
enum Answer {
    /// Says this.
    Text(String),
    /// Says back what it was asked, as an answer to it.
    Echo,
    /// Says this again and again, after its head.
    Flood(&'static str, &'static str),
    /// Says this byte by byte, one in this time.
    Drip(&'static str, Duration),
    /// Reads on and says nothing.
    Silence,
}

/// A server on loopback.
struct Server {
    port: u16,
    visitors: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            visitors: Arc::default(),
            gone: Arc::default(),
            heads: Arc::default(),
        };
        let (visitors, gone, heads) =
            (Arc::clone(&server.visitors), Arc::clone(&server.gone), Arc::clone(&server.heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                visitors.fetch_add(1, Ordering::SeqCst);
                let (answer, gone, heads) = (answer.clone(), Arc::clone(&gone), Arc::clone(&heads));
                tokio::spawn(async move {
                    let _ = serve(stream, answer, &heads).await;
                    gone.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    /// A server that nobody may reach.
    async fn door() -> Self {
        Self::start(Answer::Text(HELLO.to_owned())).await
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn visitors(&self) -> usize {
        self.visitors.load(Ordering::SeqCst)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits until every connection that came has ended.
    async fn is_left(&self) {
        let gone = || self.gone.load(Ordering::SeqCst);
        while self.visitors() == 0 || gone() < self.visitors() {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Answer,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        heads.lock().unwrap().push(head.clone());
        match &answer {
            Answer::Text(text) => stream.write_all(text.as_bytes()).await?,
            Answer::Echo => {
                let text =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
                stream.write_all(text.as_bytes()).await?;
            }
            Answer::Flood(first, then) => {
                stream.write_all(first.as_bytes()).await?;
                loop {
                    stream.write_all(then.as_bytes()).await?;
                }
            }
            Answer::Drip(text, pause) => {
                for byte in text.bytes() {
                    stream.write_u8(byte).await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Answer::Silence => loop {
                let mut sink = [0; 4096];
                if stream.read(&mut sink).await? == 0 {
                    return Ok(());
                }
            },
        }
    }
}

/// A grant of this host, over plain HTTP on the server's port.
fn grant(host: &str, server: &Server) -> HttpGrant {
    let mut grant = HttpGrant::new(HostPattern::parse(host).unwrap());
    grant.scheme = HttpScheme::Http;
    grant.port = NonZeroU16::new(server.port).unwrap();
    grant.methods = ["GET", "POST"].map(|method| HttpMethod::new(method).unwrap()).into();
    grant
}

async fn granted(grants: Vec<HttpGrant>) -> Guest {
    let mut terms = terms(Limits::default());
    for grant in grants {
        terms.grants.add_http(grant);
    }
    try_load(&engine(), HTTP, terms).await.unwrap()
}

#[tokio::test]
async fn a_component_that_sends_requests_is_refused_without_a_grant() {
    let error = try_load(&engine(), HTTP, terms(Limits::default())).await.err().unwrap();
    assert_eq!(error.aspect(), Aspect::Grants);
    let LoadError::MissingGrant { import, line, .. } = &error else { panic!("{error:?}") };
    assert!(import.starts_with("wasi:http/outgoing-handler"), "{import}");
    assert!(error.help().contains(line));
    let inspection = engine().inspect(stheno_hostile::source(HTTP)).await.unwrap();
    assert_eq!(inspection.grants_needed, [*line]);
}

#[tokio::test]
async fn the_line_that_the_refusal_names_is_the_line_that_grants_it() {
    let folder = tempfile::tempdir().unwrap();
    let guest = stheno_test_support::guest(HTTP);
    let config = |line: &str| {
        let text = format!("[modules.cache]\nresolve = \"{}\"\n{line}\n", guest.display());
        let config = Config::parse(&text, "stheno.toml", folder.path(), &|_| None).unwrap();
        Runtime::builder().config(config).build()
    };
    let error = config("").await.err().unwrap();
    let problem = error.problems().remove(0);
    let (_, line) = problem.help.split_once("below its module: ").unwrap();
    let runtime = config(line).await.unwrap();
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_granted_is_sent_and_all_else_is_counted() {
    let (server, door) =
        (Server::start(Answer::Text(HELLO.to_owned())).await, Server::door().await);
    let mut narrow = grant("127.0.0.1", &server);
    narrow.path = PathPrefix::new("/v3/").unwrap();
    let guest = granted(vec![narrow]).await;
    let url = server.url();
    assert_eq!(ask(&guest, &format!("GET {url}v3/mail")).await.unwrap(), "200 hello");
    let refused = [
        format!("DELETE {url}v3/mail"),
        format!("GET {url}"),
        format!("GET {url}v30"),
        format!("GET {url}v3/../v4"),
        format!("GET {url}v3/%2e%2e/v4"),
        format!("GET {url}v3/..%2fv4"),
        format!("GET {url}v3/..;/v4"),
        format!("GET https://127.0.0.1:{}/v3/", server.port),
        format!("GET http://127.0.0.2:{}/v3/", server.port),
        format!("GET http://localhost:{}/v3/", server.port),
        format!("GET {}v3/", door.url()),
    ];
    for (count, key) in refused.iter().enumerate() {
        let answer = ask(&guest, key).await.unwrap();
        assert!(answer.starts_with("error: denied: "), "{key}: {answer}");
        assert_eq!(denied(&guest, "http"), count as u64 + 1, "{key}");
    }
    assert_eq!((server.heads().len(), door.visitors()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_host_reaches_what_was_not_granted() {
    let (server, door) =
        (Server::start(Answer::Text(HELLO.to_owned())).await, Server::door().await);
    let guest = granted(vec![grant("api.example.com", &door), grant("127.0.0.1", &server)]).await;
    let port = door.port;
    let hosts = [
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.1",
        "127.0.0.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1.api.example.com",
        "api.example.com@127.0.0.1",
        "api.example.com:80@127.0.0.1",
        "user:word@127.0.0.1",
        "%31%32%37.0.0.1",
        "127.0.0.1%2f.api.example.com",
        "api.example.com.",
        "api%2eexample.com",
    ];
    for host in hosts {
        for key in [format!("GET http://{host}:{port}/"), format!("raw http {host}:{port} /")] {
            let answer = ask(&guest, &key).await.unwrap();
            assert!(answer.starts_with("error: "), "{key}: {answer}");
        }
    }
    // Paths that would be read as a URL, or as a second request.
    for path in [format!("http://127.0.0.1:{port}/"), format!("//127.0.0.1:{port}/"), "*".into()] {
        let key = format!("raw http 127.0.0.1:{} {path}", server.port);
        let answer = ask(&guest, &key).await.unwrap();
        assert!(answer.starts_with("error: ") || answer == "200", "{key}: {answer}");
    }
    assert_eq!(door.visitors(), 0);
    // Those that are no host to anybody are refused before they are a request.
    assert!(denied(&guest, "http") >= hosts.len() as u64, "{}", denied(&guest, "http"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_name_does_not_lead_to_loopback_unless_it_is_said() {
    let server = Server::start(Answer::Text(HELLO.to_owned())).await;
    let key = format!("GET http://localhost:{}/", server.port);
    let guest = granted(vec![grant("localhost", &server)]).await;
    let answer = ask(&guest, &key).await.unwrap();
    assert!(answer.starts_with("error: denied: "), "{answer}");
    assert_eq!((denied(&guest, "http"), server.visitors()), (1, 0));
    let mut private = grant("localhost", &server);
    private.private = true;
    let guest = granted(vec![private]).await;
    assert_eq!(ask(&guest, &key).await.unwrap(), "200 hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_to_a_private_address_is_refused_and_takes_no_secret_along() {
    let door = Server::door().await;
    let other = Server::start(Answer::Echo).await;
    for target in [&door, &other] {
        let server = Server::start(Answer::Text(format!(
            "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
            target.url()
        )))
        .await;
        let guest = granted(vec![secret(&server), grant("127.0.0.1", &other)]).await;
        let answer = ask(&guest, &format!("follow {}", server.url())).await.unwrap();
        assert!(server.heads()[0].contains(SECRET));
        if target.port == door.port {
            assert!(answer.starts_with("error: denied: "), "{answer}");
            assert_eq!(denied(&guest, "http"), 1);
        } else {
            assert!(answer.contains("x-key: __stheno_secret_key__\r\n"), "{answer}");
        }
    }
    assert_eq!(door.visitors(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_cannot_smuggle_another_one_or_frame_the_request() {
    let server = Server::start(Answer::Text(HELLO.to_owned())).await;
    let guest = granted(vec![grant("127.0.0.1", &server)]).await;
    let url = server.url();
    for header in [
        "x-a b\\r\\nhost:evil",
        "x-a b\\nc:d",
        "x-a b\\r",
        "x-a:\\r\\n b",
        "host evil.example",
        "Host evil.example",
        "transfer-encoding chunked",
        "connection keep-alive",
        "upgrade websocket",
        "proxy-authorization Basic",
        "te trailers",
        "expect 100-continue",
        "content-length 5",
        "content-length +0",
        "content-length -1",
    ] {
        let answer = ask(&guest, &format!("GET {url} {header}")).await.unwrap();
        assert!(answer.starts_with("error: "), "{header}: {answer}");
    }
    assert_eq!(server.visitors(), 0);
    assert_eq!(ask(&guest, &format!("GET {url} x-a b")).await.unwrap(), "200 hello");
    let head = server.heads().remove(0);
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{head}");
}

fn secret(server: &Server) -> HttpGrant {
    let mut grant = grant("127.0.0.1", server);
    let name = SecretName::new("key").unwrap();
    let place = SecretPlace::header("x-key").unwrap();
    grant.secrets = vec![HttpSecret::new(name, place, SECRET).unwrap()];
    grant
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_repeats_a_secret_does_not_hand_it_to_the_guest() {
    let echo = Server::start(Answer::Echo).await;
    let dripping = Server::start(Answer::Drip(
        "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<<hunter2hunter2>>",
        Duration::from_millis(1),
    ))
    .await;
    for server in [&echo, &dripping] {
        let guest = granted(vec![secret(server)]).await;
        let answer = ask(&guest, &format!("GET {}", server.url())).await.unwrap();
        assert!(server.heads()[0].contains(&format!("x-key: {SECRET}\r\n")));
        assert!(answer.starts_with("error: ") && !answer.contains("hunter2"), "{answer}");
        assert_eq!(denied(&guest, "http"), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_cut_off_in_both_directions_and_costs_no_instance() {
    let flood = Server::start(Answer::Flood(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "8\r\naaaaaaaa\r\n",
    ))
    .await;
    let sink = Server::start(Answer::Silence).await;
    let mut down = grant("127.0.0.1", &flood);
    down.max_response = HttpMaxResponse::new(ByteSize::kib(512)).unwrap();
    let mut up = grant("127.0.0.1", &sink);
    up.max_request = HttpMaxRequest::new(ByteSize::mib(4)).unwrap();
    let guest = granted(vec![down, up]).await;
    let answer = ask(&guest, &format!("GET {}", flood.url())).await.unwrap();
    assert!(answer.starts_with("error: timeout: ") && answer.contains("whole"), "{answer}");
    let answer = ask(&guest, &format!("post-flood {}", sink.url())).await.unwrap();
    assert!(answer.starts_with("error: invalid-argument: "), "{answer}");
    flood.is_left().await;
    sink.is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dribbles_costs_its_grants_timeout_and_no_instance() {
    const SLOW: Duration = Duration::from_millis(20);
    let head = Server::start(Answer::Drip(HELLO, SLOW)).await;
    let body = Server::start(Answer::Drip(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        Duration::from_millis(4),
    ))
    .await;
    for server in [&head, &body] {
        let mut grant = grant("127.0.0.1", server);
        grant.timeout = HttpTimeout::new(Duration::from_millis(300)).unwrap();
        let guest = granted(vec![grant]).await;
        let answer = ask(&guest, &format!("GET {}", server.url())).await.unwrap();
        assert!(answer.starts_with("error: timeout: "), "{answer}");
        server.is_left().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_leaves_open_is_closed_behind_it() {
    let unread = Server::start(Answer::Flood(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "8\r\naaaaaaaa\r\n",
    ))
    .await;
    let waiting = Server::start(Answer::Silence).await;
    let guest = granted(vec![grant("127.0.0.1", &unread), grant("127.0.0.1", &waiting)]).await;
    assert_eq!(ask(&guest, &format!("leave {}", unread.url())).await.unwrap(), "left");
    unread.is_left().await;
    let url = format!("http://127.0.0.1:{}", waiting.port);
    assert_eq!(ask(&guest, &format!("open {url}")).await.unwrap(), "opened");
    waiting.is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_cut_off_takes_its_request_with_it() {
    let server = Server::start(Answer::Silence).await;
    let guest = granted(vec![grant("127.0.0.1", &server)]).await;
    let key = format!("GET {}", server.url());
    let call = tokio::spawn(async move { ask(&guest, &key).await });
    while server.heads().is_empty() {
        tokio::task::yield_now().await;
    }
    call.abort();
    server.is_left().await;
}
