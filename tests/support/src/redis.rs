//! A real Redis server, started by the test that needs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{ServerClock, signal};

/// A server on a free port of this machine, with nothing on disk. It ends when
/// this is dropped, and also when the process that started it dies, in whatever
/// way.
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    clock: Option<ServerClock>,
    running: Option<Running>,
}

struct Running {
    /// A shell that ends the server when its standard input is closed.
    keeper: Child,
    server: String,
}

impl RedisServer {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with further arguments, as on its command line.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`].
    #[must_use]
    pub fn with(arguments: &[&str]) -> Self {
        Self::begin(arguments, None)
    }

    /// Starts a server whose time stands still, but for [`RedisServer::pass`]. A
    /// command that waits for so long waits until then, or until something comes.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`], and when there is no C compiler.
    #[must_use]
    pub fn on_a_clock() -> Self {
        Self::begin(&[], Some(ServerClock::start()))
    }

    /// Moves the time of a server that was started on a clock.
    ///
    /// # Panics
    ///
    /// When it was not.
    pub fn pass(&self, time: Duration) {
        self.clock.as_ref().expect("it was started on a clock").advance(time);
    }

    fn begin(arguments: &[&str], clock: Option<ServerClock>) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Somebody may take the port between the two steps.
        let mut server = Self { port: 0, arguments, clock, running: None };
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
            server.port = free.local_addr().expect("it has an address").port();
            drop(free);
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server does not start; `./justw setup` installs it");
    }

    /// Starts again on the same port, empty.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        assert!(self.try_start(), "redis-server does not start again");
    }

    fn try_start(&mut self) -> bool {
        const SCRIPT: &str = r#"env ${STHENO_TEST_CLOCK_LIBRARY:+LD_PRELOAD="$STHENO_TEST_CLOCK_LIBRARY"} \
            redis-server "$@" & echo "$!"; cat >/dev/null; kill -9 "$!"; wait "$!""#;
        let port = self.port.to_string();
        let mut keeper = Command::new("sh");
        if let Some(clock) = &self.clock {
            keeper.envs(clock.environment());
        }
        let mut keeper = keeper
            .args(["-c", SCRIPT, "redis"])
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--dir", "/tmp"])
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let mut lines = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let server = lines.next().and_then(Result::ok).expect("the shell says the number");
        // The lines end when the server does.
        let ready =
            lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept"));
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let mut running = Running { keeper, server };
        if ready {
            self.running = Some(running);
        } else {
            running.end();
        }
        ready
    }

    /// What a client connects to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
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
        signal::stop(self.process());
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal::go_on(self.process());
    }

    fn process(&self) -> &str {
        &self.running.as_ref().expect("it runs").server
    }

    /// A connection of the test's own, which sees everything.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn client(&self) -> RedisClient {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
        RedisClient(BufReader::new(stream))
    }
}

impl Running {
    fn end(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client that is as simple as can be, so that a test depends on nothing that
/// it tests.
pub struct RedisClient(BufReader<TcpStream>);

impl RedisClient {
    /// Makes a command. The reply's parts are one after the other: `None` for
    /// nil, and for an error its text behind a `-`.
    ///
    /// # Panics
    ///
    /// When the connection ends.
    pub fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Vec<Option<Vec<u8>>> {
        let mut request = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            let argument = argument.as_ref();
            request.extend(format!("${}\r\n", argument.len()).into_bytes());
            request.extend(argument);
            request.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&request).expect("the server reads");
        let mut parts = Vec::new();
        self.read(&mut parts);
        parts
    }

    /// The one part of a reply as text; empty for nil.
    ///
    /// # Panics
    ///
    /// As [`RedisClient::call`].
    pub fn text<A: AsRef<[u8]>>(&mut self, command: &[A]) -> String {
        let first = self.call(command).into_iter().next().flatten().unwrap_or_default();
        String::from_utf8_lossy(&first).into_owned()
    }

    /// Every key there is, sorted.
    ///
    /// # Panics
    ///
    /// As [`RedisClient::call`].
    pub fn keys(&mut self) -> Vec<String> {
        let text = |key: Vec<u8>| String::from_utf8_lossy(&key).into_owned();
        let mut keys: Vec<_> = self.call(&["KEYS", "*"]).into_iter().flatten().map(text).collect();
        keys.sort();
        keys
    }

    /// Watches all commands from now on. Each line of [`RedisClient::seen`] is one.
    ///
    /// # Panics
    ///
    /// As [`RedisClient::call`].
    pub fn monitor(&mut self) {
        assert_eq!(self.text(&["MONITOR"]), "OK");
    }

    /// The commands that the server saw until it sees `mark` in one, that one
    /// not included.
    ///
    /// # Panics
    ///
    /// When the mark does not come.
    pub fn seen(&mut self, mark: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line.contains(mark) {
                return lines;
            }
            lines.push(line);
        }
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.0.read_until(b'\n', &mut line).expect("the server writes");
        assert!(read > 0, "the server closed the connection");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    fn read(&mut self, parts: &mut Vec<Option<Vec<u8>>>) {
        let line = self.line();
        let (kind, rest) = line.split_at_checked(1).expect("a reply has a kind");
        let number = || rest.parse::<i64>().expect("a number");
        match kind {
            "$" => match usize::try_from(number()) {
                Err(_) => parts.push(None),
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes).expect("the server writes");
                    bytes.truncate(length);
                    parts.push(Some(bytes));
                }
            },
            "*" => (0..number()).for_each(|_| self.read(parts)),
            "-" => parts.push(Some(line.clone().into_bytes())),
            _ => parts.push(Some(rest.as_bytes().to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_server_on_a_clock_passes_when_it_is_told_to() {
        let server = RedisServer::on_a_clock();
        let mut client = server.client();
        let time = client.call(&["TIME"]);
        assert_eq!(client.text(&["SET", "k", "v", "PX", "1000"]), "OK");
        server.pass(Duration::from_millis(999));
        assert_eq!(client.text(&["PTTL", "k"]), "1");
        // Redis keeps a key through the last of its milliseconds.
        server.pass(Duration::from_millis(2));
        assert_eq!(client.call(&["GET", "k"]), [None]);
        let seconds = |time: &[Option<Vec<u8>>]| {
            let text = time.first().cloned().flatten().unwrap_or_default();
            String::from_utf8_lossy(&text).parse::<u64>().expect("a number")
        };
        assert_eq!(seconds(&client.call(&["TIME"])), seconds(&time) + 1);
    }

    #[test]
    fn a_server_is_there_goes_and_comes_again() {
        let mut server = RedisServer::start();
        let mut client = server.client();
        assert_eq!(client.text(&["SET", "k", "v"]), "OK");
        assert_eq!(client.keys(), ["k"]);
        assert!(client.text(&["GET"]).starts_with("-ERR"));
        server.kill();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err());
        server.start_again();
        assert_eq!(server.client().call(&["GET", "k"]), [None]);
    }
}
