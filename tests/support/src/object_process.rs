//! The server of [`ObjectServer`](crate::ObjectServer) in a process of its own: for
//! tests that stop it where it stands, or measure what their own process holds.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::signal;

/// A server on a free port of this machine, with its buckets in a temporary folder.
/// It ends when this is dropped, and also when the process that started it dies, in
/// whatever way.
pub struct ObjectProcess {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    running: Option<Running>,
}

struct Running {
    /// A shell that ends the server when its standard input is closed.
    keeper: Child,
    server: String,
}

impl ObjectProcess {
    /// Starts a program that calls
    /// [`ObjectServer::serve_as_told`](crate::ObjectServer::serve_as_told).
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(program: impl AsRef<Path>, buckets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).expect("it can be written to");
        }
        let program = program.as_ref().to_owned();
        let mut server = Self { program, folder, port: 0, running: None };
        server.start_again();
        server
    }

    /// Starts again on the same port, with the same buckets.
    ///
    /// # Panics
    ///
    /// When it runs, or does not start.
    pub fn start_again(&mut self) {
        const SCRIPT: &str = r#""$@" & echo "$!"; cat >/dev/null; kill -9 "$!"; wait "$!""#;
        assert!(self.running.is_none(), "it runs already");
        let mut keeper = Command::new("sh")
            .args(["-c", SCRIPT, "objects"])
            .arg(&self.program)
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut lines = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let mut line = || lines.next().and_then(Result::ok).expect("it starts");
        let server = line();
        self.port = line().parse().expect("the server says its port");
        self.running = Some(Running { keeper, server });
    }

    /// Kills it, as a machine that fails does.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.keeper.stdin.take());
            let _ = running.keeper.wait();
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

    /// What a client is told as its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder in which each bucket is a folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for ObjectProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
