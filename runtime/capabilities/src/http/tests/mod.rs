//! Requests to real servers on loopback, as the guest's side of `wasi:http`
//! hands them over.

mod limits;
mod places;
mod secrets;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use stheno_config::{Grants, HostPattern, HttpGrant, HttpMethod, HttpScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{Http, Instance};
use crate::resolve::{self, Resolver};
use crate::{Clock, Denials};

/// A server that says what the test tells it to say.
struct Server {
    address: SocketAddr,
    /// The heads of the requests that came, and how the connections ended.
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    heads: Vec<String>,
    closed: usize,
}

impl Server {
    /// Answers each request with these pieces, each in a packet of its own, and
    /// then waits for the next one.
    async fn answering(pieces: &'static [&'static [u8]]) -> Self {
        Self::on(Ipv4Addr::LOCALHOST, 0, move |mut stream: TcpStream| {
            Box::pin(async move {
                for piece in pieces {
                    if stream.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                stream
            })
        })
        .await
    }

    /// Writes this again and again for as long as somebody reads.
    async fn flooding(head: &'static [u8], piece: &'static [u8]) -> Self {
        Self::on(Ipv4Addr::LOCALHOST, 0, move |mut stream: TcpStream| {
            Box::pin(async move {
                let _ = stream.write_all(head).await;
                while stream.write_all(piece).await.is_ok() {}
                stream
            })
        })
        .await
    }

    async fn on(
        ip: Ipv4Addr,
        port: u16,
        answer: impl Fn(TcpStream) -> Pin<Box<dyn Future<Output = TcpStream> + Send>>
        + Send
        + Sync
        + Clone
        + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                log.lock().unwrap().connections += 1;
                let (log, answer) = (Arc::clone(&log), answer.clone());
                tokio::spawn(async move {
                    while let Some(head) = head(&mut stream).await {
                        log.lock().unwrap().heads.push(head);
                        stream = answer(stream).await;
                    }
                    log.lock().unwrap().closed += 1;
                });
            }
        });
        Self { address, seen }
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    fn head(&self) -> String {
        self.seen.lock().unwrap().heads.last().cloned().unwrap()
    }

    /// Waits until every connection is closed.
    async fn is_left(&self) {
        while {
            let seen = self.seen.lock().unwrap();
            seen.connections == 0 || seen.closed < seen.connections
        } {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads one head; bodies of the tests are in it or of no interest.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Names as the test wants them, one answer after another.
struct Names {
    answers: Vec<Vec<IpAddr>>,
    asked: Mutex<usize>,
}

impl resolve::Names for Names {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        let answer = self.answers[(*asked).min(self.answers.len() - 1)].clone();
        *asked += 1;
        Ok(answer)
    }
}

/// A grant of everything at this host on the server's port.
fn grant(host: &str, server: &Server) -> HttpGrant {
    let mut grant = HttpGrant::new(HostPattern::parse(host).unwrap());
    grant.scheme = HttpScheme::Http;
    grant.port = NonZeroU16::new(server.address.port()).unwrap();
    grant.methods = ["GET", "POST", "HEAD"].map(|method| HttpMethod::new(method).unwrap()).into();
    grant
}

fn http(grant: HttpGrant) -> Http {
    http_through(grant, Resolver::system())
}

fn http_with(grant: HttpGrant, names: Arc<dyn resolve::Names>) -> Http {
    http_through(grant, Resolver::asking(names))
}

fn http_through(grant: HttpGrant, resolver: Resolver) -> Http {
    let mut grants = Grants::default();
    grants.add_http(grant);
    Http::granted_by(&Denials::of(&"test".into()), &grants, &Clock::system(), resolver)
}

fn get(server: &Server, host: &str) -> Request<WasiBody> {
    let uri = format!("http://{host}:{}/", server.address.port());
    Request::get(uri).body(empty()).unwrap()
}

fn empty() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(body: impl Into<Bytes>) -> WasiBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

async fn send(
    instance: &mut Instance,
    request: Request<WasiBody>,
) -> Result<Response<WasiBody>, Error> {
    send_with(instance, request, None).await
}

async fn send_with(
    instance: &mut Instance,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
) -> Result<Response<WasiBody>, Error> {
    let finish = Box::new(std::future::ready(Ok(())));
    let sent = instance.hooks.send_request(request, options, finish);
    Pin::from(sent).await.map(|(response, _)| response)
}

/// One request and all of its answer.
async fn ask(http: &Http, request: Request<WasiBody>) -> Result<Bytes, Error> {
    let response = send(&mut http.instance(), request).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}
