//! A real Memcached server, started by the test that needs it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::signal;

/// So long a test waits for what is certain to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port of this machine. It ends when this is dropped, and also
/// when the process that started it dies, in whatever way.
pub struct MemcachedServer {
    port: u16,
    arguments: Vec<String>,
    /// Whether the lines of its log are kept.
    watched: bool,
    running: Option<Running>,
}

struct Running {
    /// A shell that ends the server when its standard input is closed.
    keeper: Child,
    server: String,
    log: Mutex<Receiver<String>>,
}

impl MemcachedServer {
    /// Starts a server with room enough that it drops nothing.
    ///
    /// # Panics
    ///
    /// When there is no `memcached`, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&["-m", "2048"])
    }

    /// Starts a server with these arguments, as on its command line.
    ///
    /// # Panics
    ///
    /// As [`MemcachedServer::start`].
    #[must_use]
    pub fn with(arguments: &[&str]) -> Self {
        Self::begin(arguments, false)
    }

    /// Starts a server whose commands can be looked at, by [`MemcachedServer::seen`].
    ///
    /// # Panics
    ///
    /// As [`MemcachedServer::start`].
    #[must_use]
    pub fn watched() -> Self {
        Self::begin(&["-m", "2048"], true)
    }

    fn begin(arguments: &[&str], watched: bool) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Somebody may take the port between the two steps.
        let mut server = Self { port: 0, arguments, watched, running: None };
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
            server.port = free.local_addr().expect("it has an address").port();
            drop(free);
            if server.try_start() {
                return server;
            }
        }
        panic!("memcached does not start; `./justw setup` installs it");
    }

    /// Starts again on the same port, empty.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        assert!(self.try_start(), "memcached does not start again");
    }

    fn try_start(&mut self) -> bool {
        // The inner shell becomes the server, and only it holds the output: its lines end
        // when it does.
        const SCRIPT: &str = r#"sh -c 'echo "$$"; exec memcached "$@" 2>&1' memcached "$@" &
            exec >/dev/null; cat; kill -9 "$!"; wait "$!""#;
        let port = self.port.to_string();
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT, "memcached"])
            .args(["-p", &port, "-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-vv"])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let stdout = keeper.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let server = lines.next().expect("the shell says the number");
        let ready = lines.any(|line| line.contains("server listening"));
        let (keep, log) = channel();
        let watched = self.watched;
        std::thread::spawn(move || {
            lines.filter(|_| watched).for_each(|line| drop(keep.send(line)));
        });
        let mut running = Running { keeper, server, log: Mutex::new(log) };
        if ready {
            self.running = Some(running);
        } else {
            running.end();
        }
        ready
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as a machine that fails does.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.end();
        }
    }

    /// Stops it in the middle of whatever it does: it keeps its connections and
    /// answers nobody.
    pub fn hang(&self) {
        signal::stop(&self.running().server);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal::go_on(&self.running().server);
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    /// A connection of the test's own, which sees everything.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn client(&self) -> MemcachedClient {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
        MemcachedClient(BufReader::new(stream))
    }

    /// The commands that a watched server saw since it was asked last.
    ///
    /// # Panics
    ///
    /// When it is not watched.
    pub fn seen(&self) -> Vec<String> {
        assert!(self.watched, "it is not watched");
        self.client().lines("mn\r\nmg the-end-of-what-is-seen\r\n", 2);
        let log = self.running().log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Vec::new();
        loop {
            let line = log.recv_timeout(PATIENCE).expect("it says what it saw");
            // `<connection command`; with `>` stands what it answers.
            let command = line.strip_prefix('<').and_then(|line| line.split_once(' '));
            match command {
                Some((_, "mg the-end-of-what-is-seen")) => return seen,
                // What becomes of connections is said in the same way.
                Some((_, what)) if what == "connection closed." || what.starts_with("new ") => {}
                Some((number, command)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    seen.push(command.to_owned());
                }
                _ => {}
            }
        }
    }
}

impl Running {
    fn end(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Drop for MemcachedServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client that is as simple as can be, so that a test depends on nothing that it
/// tests.
pub struct MemcachedClient(BufReader<TcpStream>);

impl MemcachedClient {
    /// Sends text and reads so many lines.
    ///
    /// # Panics
    ///
    /// When the connection ends.
    pub fn lines(&mut self, text: &str, count: usize) -> Vec<String> {
        self.0.get_mut().write_all(text.as_bytes()).expect("the server reads");
        (0..count).map(|_| self.line()).collect()
    }

    /// Stores a value.
    ///
    /// # Panics
    ///
    /// When the server does not.
    pub fn set(&mut self, key: &str, value: &[u8]) {
        let head = format!("set {key} 0 0 {}\r\n", value.len());
        let request = [head.as_bytes(), value, b"\r\n"].concat();
        self.0.get_mut().write_all(&request).expect("the server reads");
        assert_eq!(self.line(), "STORED");
    }

    /// What stands under a key.
    ///
    /// # Panics
    ///
    /// When the connection ends.
    pub fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        let head = self.lines(&format!("get {key}\r\n"), 1).remove(0);
        let length = head.rsplit(' ').next().and_then(|length| length.parse::<usize>().ok())?;
        let mut value = vec![0; length + 2];
        self.0.read_exact(&mut value).expect("the server writes");
        value.truncate(length);
        assert_eq!(self.line(), "END");
        Some(value)
    }

    /// Removes a key.
    ///
    /// # Panics
    ///
    /// When it is not there.
    pub fn delete(&mut self, key: &str) {
        assert_eq!(self.lines(&format!("delete {key}\r\n"), 1), ["DELETED"], "{key}");
    }

    /// The seconds that a key has left; none if it does not end.
    ///
    /// # Panics
    ///
    /// When it is not there.
    pub fn seconds_left(&mut self, key: &str) -> Option<u64> {
        let line = self.lines(&format!("mg {key} t\r\n"), 1).remove(0);
        line.strip_prefix("HD t").expect("it is there").parse().ok()
    }

    /// Every key there is, sorted, as long as nobody else writes.
    ///
    /// # Panics
    ///
    /// When the connection ends.
    pub fn keys(&mut self) -> BTreeSet<String> {
        // The server goes over lists between which it moves items meanwhile, and now and
        // then misses one, without saying so: until it has said nothing new for a while.
        let mut keys = BTreeSet::new();
        let mut same = 0;
        while same < 5 {
            let before = keys.len();
            let served = self.dump(&mut keys);
            same = if served && keys.len() == before { same + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(5));
        }
        keys
    }

    /// Whether the server had time for it.
    fn dump(&mut self, keys: &mut BTreeSet<String>) -> bool {
        self.0.get_mut().write_all(b"lru_crawler metadump all\r\n").expect("the server reads");
        loop {
            let line = self.line();
            match line.strip_prefix("key=").and_then(|line| line.split(' ').next()) {
                // Keys are written as in a URL.
                Some(key) => keys.insert(key.replace("%3A", ":").replace("%2E", ".")),
                None if line == "END" => return true,
                None if line.starts_with("BUSY") => return false,
                None => panic!("{line}"),
            };
        }
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line).expect("the server writes");
        assert!(read > 0, "the server closed the connection");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_there_goes_and_comes_again() {
        let mut server = MemcachedServer::start();
        let mut client = server.client();
        client.set("shop:k.1", b"a\r\nEND\r\n");
        assert_eq!(client.get("shop:k.1"), Some(b"a\r\nEND\r\n".to_vec()));
        assert_eq!(client.seconds_left("shop:k.1"), None);
        assert_eq!(client.keys(), ["shop:k.1".to_owned()].into());
        client.delete("shop:k.1");
        server.kill();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err());
        server.start_again();
        assert_eq!(server.client().get("shop:k.1"), None);
    }

    #[test]
    fn a_watched_server_says_what_it_was_asked() {
        let server = MemcachedServer::watched();
        server.client().lines("mg a O1\r\nmn\r\n", 2);
        assert_eq!(server.seen(), ["mg a O1", "mn", "mn"]);
        assert_eq!(server.seen(), ["mn"]);
    }
}
