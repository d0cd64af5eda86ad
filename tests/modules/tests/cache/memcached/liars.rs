//! Servers that are none: each of them costs a call no more than its time.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::{impatient, on, start};
use crate::outages::{TIMEOUT, is_of_a_server};

/// A server that answers whatever it is asked in one way. Says what it was sent.
struct Liar {
    address: String,
    heard: Receiver<Vec<u8>>,
}

impl Liar {
    /// `polite` answers the first question, whether it knows the meta commands, well.
    fn new(polite: bool, answer: impl Fn(&mut dyn Write) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (say, heard) = channel();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (say, answer) = (say.clone(), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let mut buffer = vec![0; 1 << 16];
                    let mut first = polite;
                    while let Ok(read @ 1..) = stream.read(&mut buffer) {
                        let _ = say.send(buffer[..read].to_vec());
                        if std::mem::take(&mut first) {
                            let _ = stream.write_all(b"MN\r\n");
                        } else {
                            answer(&mut stream);
                        }
                    }
                });
            }
        });
        Self { address, heard }
    }

    async fn counts_for_none(self, why: &str) -> Vec<u8> {
        let (runtime, _clock) = start(impatient(on(&self.address, "shop:"))).await;
        let cache = runtime.cache();
        for _ in 0..3 {
            let begun = Instant::now();
            assert_eq!(cache.get_bytes("k").await.unwrap(), None, "{why}");
            assert!(cache.get_by_tags(["t"]).await.unwrap().is_empty(), "{why}");
            for tags in [vec!["t"], vec![]] {
                let error = cache.set_bytes("k", "flush_all").tags(tags).await.unwrap_err();
                assert!(is_of_a_server(error.kind()), "{why}: {error}");
            }
            assert!(begun.elapsed() < 8 * TIMEOUT, "{why}: {:?}", begun.elapsed());
        }
        self.heard.try_iter().flatten().collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_rubbish_is_none_and_costs_no_more_than_the_timeout() {
    for answer in [
        "ERROR\r\n",
        "CLIENT_ERROR bad data chunk\r\n",
        "SERVER_ERROR out of memory\r\n",
        "SERVER_ERROR out of memory\r\nMN\r\nMN\r\n",
        "VALUE k 0 1\r\nv\r\nEND\r\n",
        "MN\r\n",
        "EN O0\r\n",
        "HD O7\r\nMN\r\n",
        "VA 100 O0\r\nshort\r\nMN\r\n",
        "VA 1 O0\r\nlonger\r\nMN\r\n",
        "VA 99999999999999999999 O0\r\n",
        "VA 4294967295 O0\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "",
        "\r\n",
        "\0\0\0\0",
    ] {
        let liar = Liar::new(true, move |stream| {
            let _ = stream.write_all(answer.as_bytes());
        });
        liar.counts_for_none(answer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_line_never_ends_is_none() {
    let liar = Liar::new(true, |stream| while stream.write_all(&[b'x'; 4_096]).is_ok() {});
    liar.counts_for_none("a line without an end").await;
}

/// Its values would be taken for commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_know_the_meta_commands_is_sent_nothing_else() {
    let liar = Liar::new(false, |stream| drop(stream.write_all(b"ERROR\r\n")));
    let heard = liar.counts_for_none("an old server").await;
    assert!(!heard.is_empty());
    assert!(heard.chunks(4).all(|line| line == b"mn\r\n"));
}
