//! A real PostgreSQL server, started by the test that needs it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tempfile::TempDir;

use crate::signal::until_stopped;

/// As whom the server runs where the test is root, which it refuses to be.
const SYSTEM_USER: &str = "postgres";

/// A server on a free port of this machine, whose superuser is `postgres` and needs
/// no password. It ends when this is dropped, and also when the process that started
/// it dies, in whatever way.
pub struct PostgresServer {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    running: Option<Running>,
}

struct Running {
    /// A shell that ends the server when its standard input is closed.
    keeper: Child,
    server: String,
    log: Mutex<Receiver<String>>,
}

impl PostgresServer {
    /// The settings with which it logs whatever is asked of it.
    pub const LOGS: &'static [&'static str] = &["log_min_duration_statement=0"];

    /// Makes a cluster and starts a server for it.
    ///
    /// # Panics
    ///
    /// When there is no PostgreSQL, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with further settings, each as `name=value`.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::start`].
    #[must_use]
    pub fn with(settings: &[&str]) -> Self {
        Self::prepared(settings, |_| {})
    }

    /// Starts a server with further settings, after something was put into its
    /// folder of data.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::start`].
    #[must_use]
    pub fn prepared(settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("stheno-pg").tempdir().expect("a folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("it can be made");
        owned_by_server(folder.path());
        owned_by_server(&data);
        let mut initdb = server_command("initdb");
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"]);
        succeed(initdb.args(["--no-locale", "--no-instructions"]));
        prepare(&data);
        let arguments = settings.iter().flat_map(|&it| ["-c".to_owned(), it.to_owned()]);
        // Somebody may take the port between the two steps.
        let mut server = Self { folder, port: 0, arguments: arguments.collect(), running: None };
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
            server.port = free.local_addr().expect("it has an address").port();
            drop(free);
            if server.try_start() {
                return server;
            }
        }
        panic!("PostgreSQL does not start; `./justw setup` installs it");
    }

    /// Gives a file in the folder of data to the user that the server runs as.
    pub fn give(file: &Path) {
        owned_by_server(file);
    }

    /// Starts again on the same port, with the same data.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        assert!(self.try_start(), "PostgreSQL does not start again");
    }

    fn try_start(&mut self) -> bool {
        // Where nobody says that the data is still wanted, this process is gone.
        const SCRIPT: &str = r#"folder=$1; shift
            "$@" 2>&1 & echo "$!"
            read -r wanted; kill -QUIT "$!"; kill -CONT "$!"; wait "$!"
            [ -n "$wanted" ] || rm -rf "$folder""#;
        let server = server_command("postgres");
        let mut keeper = Command::new("sh");
        keeper.args(["-c", SCRIPT, "postgres"]).arg(self.folder.path());
        keeper.arg(server.get_program()).args(server.get_args());
        keeper.arg("-D").arg(self.folder.path().join("data"));
        keeper.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        // Commits outlive `kill`, since it is the process that dies and not the machine.
        keeper.args(["-c", "fsync=off", "-c", "logging_collector=off"]);
        keeper.arg("-k").arg(self.folder.path()).args(&self.arguments);
        // It cannot stand in a folder that it cannot enter.
        let keeper = keeper.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut keeper = keeper.expect("there is a shell");
        let mut lines = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let server = lines.next().and_then(Result::ok).expect("the shell says the number");
        // The lines end when the server does.
        let ready =
            lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready to accept"));
        let (send, log) = mpsc::channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                // Nobody may listen any more, and the server must be able to write.
                let _ = send.send(line);
            });
        });
        let mut running = Running { keeper, server, log: Mutex::new(log) };
        if ready {
            self.running = Some(running);
        } else {
            running.end();
        }
        ready
    }

    /// What a client connects to, as the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// What a client connects to as somebody else; the name may have a password
    /// behind a colon.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/postgres", self.port)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes statements as the superuser, and gives what comes of them: a line for
    /// each row, with `|` between the columns.
    ///
    /// # Panics
    ///
    /// When one of them fails.
    #[must_use]
    pub fn ask(&self, statements: &str) -> String {
        let output = succeed(self.psql("postgres").args(["-c", statements]));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// As [`PostgresServer::ask`], where nothing comes of them.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::ask`].
    pub fn make(&self, statements: &str) {
        let came = self.ask(statements);
        assert_eq!(came, "", "{statements}");
    }

    /// What the server has logged since this was asked last. It needs
    /// [`PostgresServer::LOGS`].
    ///
    /// # Panics
    ///
    /// When the server logs nothing.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        const MARK: &str = "the end of the log";
        let marked = self.ask(&format!("SELECT '{MARK}'"));
        assert_eq!(marked, MARK);
        let log = &self.running.as_ref().expect("it runs").log;
        let log = log.lock().expect("no other has panicked");
        let line = || log.recv_timeout(Duration::from_secs(20)).expect("the server logs");
        std::iter::repeat_with(line).take_while(|line| !line.contains(MARK)).collect()
    }

    /// Makes the first statement as this user, and gives the error of the last one.
    ///
    /// # Panics
    ///
    /// When that succeeds, or the first does not.
    #[must_use]
    pub fn refused(&self, user: &str, first: &str, last: &str) -> String {
        let mut psql = self.psql(user);
        let output = psql.args(["-c", first, "-c", "SELECT 'made'", "-c", last]).output();
        let output = output.expect("PostgreSQL is there; `./justw setup` installs it");
        let made = String::from_utf8_lossy(&output.stdout);
        assert!(made.trim_end() == "made" && !output.status.success(), "{first}; {last}: {made}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn psql(&self, user: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url_of(user)]);
        psql
    }

    /// Makes a role that owns a schema of its name and may use nothing else.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::ask`].
    pub fn make_schema(&self, name: &str) {
        self.make(&format!("CREATE ROLE {name} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {name}"));
    }

    /// Puts the server's clock, as far as it is asked in one of the schemas named here,
    /// into the hand of the test: there it stands still. It is `clock_timestamp` that
    /// is another function then, which the server knows by its own code as long as a
    /// plan does not put the text of the new one in its place; so that is all it is.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::ask`].
    pub fn take_clock(&self) {
        self.make(
            "CREATE TABLE public.clocks (schema text PRIMARY KEY, at timestamptz NOT NULL);
             CREATE FUNCTION pg_catalog.time_in_hand() RETURNS timestamptz
               LANGUAGE sql VOLATILE SECURITY DEFINER AS
               'SELECT coalesce((SELECT at FROM public.clocks WHERE schema = current_schema()),
                                statement_timestamp())';
             CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz
               LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.time_in_hand()'",
        );
    }

    /// Has time pass in a schema, after [`PostgresServer::take_clock`]. With the first
    /// call it stands still there.
    ///
    /// # Panics
    ///
    /// As [`PostgresServer::ask`].
    pub fn pass(&self, schema: &str, millis: u64) {
        self.make(&format!(
            "INSERT INTO public.clocks VALUES
               ('{schema}', date_trunc('milliseconds', statement_timestamp()))
             ON CONFLICT (schema) DO UPDATE SET at = clocks.at + {millis} * interval '1 ms'"
        ));
    }

    /// Kills it, as a machine that fails does.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.end();
        }
    }

    /// Stops it and all its connections in the middle of whatever they do: it keeps
    /// them and answers nobody.
    pub fn hang(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        // Each connection has a process of its own, below the first.
        const SCRIPT: &str = r#"for one in "$2" $(cat /proc/"$2"/task/"$2"/children); do
            kill -"$1" "$one" 2>/dev/null; done; kill -"$1" "$2""#;
        let server = &self.running.as_ref().expect("it runs").server;
        let sent = Command::new("sh").args(["-c", SCRIPT, "signal", signal, server]).status();
        assert!(sent.expect("there is a shell").success(), "{signal} was not sent");
        if signal == "STOP" {
            let children =
                std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
            let children = children.unwrap_or_default();
            children.split_whitespace().chain([server.as_str()]).for_each(until_stopped);
        }
    }
}

impl Running {
    fn end(&mut self) {
        if let Some(mut keeper) = self.keeper.stdin.take() {
            let _ = keeper.write_all(b"wanted\n");
        }
        let _ = self.keeper.wait();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Debian keeps the server's programs out of the way.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("there is id");
    id.stdout.trim_ascii() == b"0"
}

fn server_command(name: &str) -> Command {
    if !is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    let group = format!("--regid={SYSTEM_USER}");
    command.args([&format!("--reuid={SYSTEM_USER}"), &group, "--init-groups"]);
    command.arg(program(name)).current_dir("/");
    command
}

fn owned_by_server(path: &Path) {
    if is_root() {
        succeed(Command::new("chown").arg(SYSTEM_USER).arg(path));
    }
    let mode = if path.is_dir() { "700" } else { "600" };
    succeed(Command::new("chmod").arg(mode).arg(path));
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("PostgreSQL is there; `./justw setup` installs it");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_hand_stands_still_in_its_schema_and_goes_on_elsewhere() {
        let server = PostgresServer::start();
        server.take_clock();
        server.make_schema("shop");
        server.pass("shop", 7);
        let now = |schema| {
            let clock = format!("SET search_path = {schema}; SELECT clock_timestamp()");
            server.ask(&format!("{clock}::timestamptz(3)"))
        };
        let first = now("shop");
        assert_ne!(now("public"), first);
        assert_eq!(now("shop"), first);
        server.pass("shop", 86_400_000);
        let passed = format!("SELECT '{}'::timestamptz - '{first}'", now("shop"));
        assert_eq!(server.ask(&passed), "1 day");
    }

    #[test]
    fn a_server_is_there_goes_and_comes_again_with_its_data() {
        let mut server = PostgresServer::start();
        server.make("CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
        assert_eq!(server.ask("SELECT n, 'x' FROM t"), "7|x");
        server.kill();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).is_err());
        server.start_again();
        assert_eq!(server.ask("SELECT n FROM t"), "7");
    }
}
