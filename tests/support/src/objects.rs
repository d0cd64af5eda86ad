//! A real S3 server, started by the test that needs it.

mod store;

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use store::{Held, Store};

/// A server (the crate `s3s-fs`) on a free port of this machine, with its buckets
/// in a temporary folder. It checks signatures. It ends when this is dropped.
///
/// It runs on threads of its own, so it goes on whatever the test does.
pub struct ObjectServer {
    folder: TempDir,
    port: u16,
    state: Arc<State>,
    running: Option<Runtime>,
}

/// What outlives a restart.
#[derive(Default)]
struct State {
    seen: Mutex<Vec<String>>,
    faults: Mutex<Vec<Fault>>,
    hung: watch::Sender<bool>,
    held: Held,
}

/// An answer in place of the server's own.
struct Fault {
    /// What the line of the request begins with, such as `PUT`.
    line: String,
    status: StatusCode,
    code: String,
}

impl ObjectServer {
    /// The keys that it knows.
    pub const ACCESS_KEY: &'static str = "AKTEST";
    /// Their secret half.
    pub const SECRET_KEY: &'static str = "SKTESTSKTESTSKTEST";

    /// Starts a server with these buckets.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(buckets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).expect("it can be written to");
        }
        let mut server = Self { folder, port: 0, state: Arc::default(), running: None };
        server.start_again();
        server
    }

    /// Starts again on the same port, with the same buckets.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let inner = service(self.folder.path(), &self.state);
        let service = Watched { inner, state: self.state.clone() };
        let runtime = runtime();
        let listener = listen(&runtime, self.port);
        self.port = port(&listener);
        runtime.spawn(serve(listener, service));
        self.running = Some(runtime);
    }

    /// What a program does that [`ObjectProcess`](crate::ObjectProcess) starts: serves
    /// the buckets in a folder, its first argument, on a port, its second (0 is any),
    /// and says on standard output which it took.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn serve_as_told() -> ! {
        let mut arguments = std::env::args_os().skip(1);
        let (folder, port) = (arguments.next(), arguments.next());
        let port = port.and_then(|port| port.to_str()?.parse().ok());
        let (Some(folder), Some(port)) = (folder, port) else {
            panic!("write the folder of the buckets and a port; 0 is any");
        };
        Self::serve(Path::new(&folder), port)
    }

    fn serve(folder: &Path, at: u16) -> ! {
        let state = Arc::default();
        let service = Watched { inner: service(folder, &state), state };
        let runtime = runtime();
        let listener = listen(&runtime, at);
        println!("{}", port(&listener));
        runtime.block_on(serve(listener, service));
        panic!("the server ended");
    }

    /// Ends it and all its connections, as a machine that fails does.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            // Not in a test's own runtime, which does not let anybody wait.
            let ended = std::thread::spawn(move || drop(running)).join();
            ended.expect("the server ends");
        }
    }

    /// From now on it takes requests and answers none.
    pub fn hang(&self) {
        self.state.hung.send_replace(true);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.state.hung.send_replace(false);
    }

    /// Answers the next request whose line begins with `line` (as
    /// [`ObjectServer::seen`] has it) with an error.
    ///
    /// # Panics
    ///
    /// When there is no such status.
    pub fn answer(&self, line: &str, status: u16, code: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        let fault = Fault { line: line.to_owned(), status, code: code.to_owned() };
        self.state.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// From now on refuses to remove this object, as the policy of a bucket may.
    pub fn hold(&self, bucket: &str, key: &str) {
        let mut held = self.state.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert((bucket.to_owned(), key.to_owned()));
    }

    /// What a client is told as its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests since the last time: `METHOD PATH?QUERY`, as they were sent.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts an object there, past the interface.
    ///
    /// # Panics
    ///
    /// When that is not possible.
    pub fn place(&self, bucket: &str, key: &str, body: &[u8]) {
        let path = self.folder.path().join(bucket).join(key);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
        std::fs::write(path, body).expect("it can be written");
    }

    /// The body of an object, past the interface; none if there is none.
    #[must_use]
    pub fn body(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(bucket).join(key)).ok()
    }

    /// Makes an object as old as if it had been stored so long ago.
    ///
    /// # Panics
    ///
    /// When there is no such object.
    pub fn age(&self, bucket: &str, key: &str, by: Duration) {
        let file = std::fs::File::options()
            .write(true)
            .open(self.folder.path().join(bucket).join(key))
            .expect("the object is there");
        file.set_modified(SystemTime::now() - by).expect("its time can be set");
    }

    /// All keys of a bucket, sorted, past the interface.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let top = self.folder.path().join(bucket);
        let mut keys = Vec::new();
        walk(&top, &mut |path| {
            if let Ok(key) = path.strip_prefix(&top) {
                keys.push(key.to_string_lossy().into_owned());
            }
        });
        keys.sort();
        keys
    }

    /// How many parts of uploads it holds that were neither put together nor
    /// removed, the uploads themselves included.
    #[must_use]
    pub fn leftovers(&self) -> usize {
        let mut count = 0;
        walk(self.folder.path(), &mut |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            count += usize::from(name.starts_with(".upload"));
        });
        count
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_background();
        }
    }
}

fn service(folder: &Path, state: &State) -> S3Service {
    let files = FileSystem::new(folder).expect("the folder can be used");
    let mut service = S3ServiceBuilder::new(Store::new(files, Arc::clone(&state.held)));
    let (id, secret) = (ObjectServer::ACCESS_KEY, ObjectServer::SECRET_KEY);
    service.set_auth(SimpleAuth::from_single(id, secret));
    service.build()
}

fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().expect("a runtime can be made")
}

fn listen(runtime: &Runtime, port: u16) -> TcpListener {
    let _inside = runtime.enter();
    let socket = TcpSocket::new_v4().expect("there are sockets");
    socket.set_reuseaddr(true).expect("it can be set");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("the port is free");
    socket.listen(128).expect("it can listen")
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("it has an address").port()
}

fn walk(folder: &Path, see: &mut impl FnMut(PathBuf)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { walk(&path, see) } else { see(path) }
    }
}

async fn serve(listener: TcpListener, service: Watched) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The server, and before it what a test asks for.
#[derive(Clone)]
struct Watched {
    inner: S3Service,
    state: Arc<State>,
}

impl Service<Request<Incoming>> for Watched {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { inner, state } = self.clone();
        Box::pin(async move {
            let line = format!("{} {}", request.method(), request.uri());
            state.seen.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            // Ends with the server, which holds the other end.
            let _ = state.hung.subscribe().wait_for(|hung| !hung).await;
            if let Some(fault) = state.fault(&line) {
                // Who answers and reads no more breaks the connection off.
                let mut body = request.into_body();
                while body.frame().await.is_some() {}
                return Ok(fault.answer());
            }
            Ok(inner.call(request.map(Body::from)).await.unwrap_or_else(|_| {
                let mut broken = Response::new(Body::empty());
                *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                broken
            }))
        })
    }
}

impl State {
    fn fault(&self, line: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let at = faults.iter().position(|fault| line.starts_with(&fault.line))?;
        Some(faults.remove(at))
    }
}

impl Fault {
    fn answer(&self) -> Response<Body> {
        let Self { status, code, .. } = self;
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>a secret of the server</Message></Error>"
        );
        let mut answer = Response::new(Body::from(text));
        *answer.status_mut() = *status;
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_server_is_there_goes_and_comes_again_with_what_it_had() {
        let mut server = ObjectServer::start(&["shop"]);
        server.place("shop", "a/b", b"body");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_ok());
        server.kill();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_err());
        server.start_again();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).is_ok());
        assert_eq!(server.keys("shop"), ["a/b"]);
        assert_eq!(server.body("shop", "a/b").as_deref(), Some(&b"body"[..]));
    }
}
