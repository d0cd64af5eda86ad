//! Running the binary.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use stheno_test_support::compile_cache;

/// The binary, with nothing of this process's environment that it heeds.
pub(crate) fn stheno() -> Command {
    of(Path::new(env!("CARGO_BIN_EXE_stheno")))
}

/// The same for another copy of it.
pub(crate) fn of(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for name in ["RUST_LOG", "RUST_BACKTRACE", "STHENO_URL", "STHENO_TOKEN"] {
        command.env_remove(name);
    }
    command.env("XDG_CACHE_HOME", compile_cache(env!("CARGO_TARGET_TMPDIR")));
    command
}

/// Runs to the end; gives the exit code, stdout and stderr.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> (i32, Vec<u8>, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // It may print before it has read everything.
    let writing = std::thread::spawn(move || pipe.write_all(&stdin));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    // It need not read what it was given.
    let _ = writing.join().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (status.code().unwrap(), stdout, stderr)
}

/// A folder with this config in it.
pub(crate) fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stheno.toml"), config).unwrap();
    folder
}

/// A running `stheno up` on a free port; killed when this is dropped.
pub(crate) struct Up {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Such as `http://127.0.0.1:40123`.
    pub(crate) url: String,
    /// All of stderr that was read.
    pub(crate) log: String,
}

impl Up {
    pub(crate) fn start() -> Self {
        Self::of(&mut stheno(), &[])
    }

    /// Starts and waits until it says that it is ready.
    pub(crate) fn of(command: &mut Command, arguments: &[&str]) -> Self {
        let command = command.args(["up", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut up = Self { child, stderr, url: String::new(), log: String::new() };
        let line = up.wait_for("ready");
        let address = line.split(['"', ' ']).find_map(|word| {
            let word = word.strip_prefix("http://").unwrap_or(word);
            word.starts_with("127.0.0.1:").then_some(word)
        });
        up.url = format!("http://{}", address.unwrap());
        up
    }

    /// Reads its log up to a line that holds `text`, and gives that line.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without {text:?}: {}", self.log);
            self.log.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(self.sender(name).status().unwrap().success());
    }

    /// What sends it a signal, from wherever that is.
    pub(crate) fn sender(&self, name: &str) -> Command {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &self.child.id().to_string()]);
        kill
    }

    /// Waits until it has ended, reading the rest of its log.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            self.log.push_str(&std::mem::take(&mut line));
        }
        self.child.wait().unwrap()
    }

    /// `stheno call` to this server.
    pub(crate) fn call(&self, arguments: &[&str]) -> Command {
        let mut command = stheno();
        command.env("STHENO_URL", &self.url).arg("call").args(arguments);
        command
    }

    /// A call that must succeed; gives its stdout.
    pub(crate) fn called(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = run(&mut self.call(arguments), b"");
        assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}");
        String::from_utf8(stdout).unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of the binary in a folder of its own. Another process makes it: were
/// it open for writing in this one, a child that another test forks meanwhile
/// would hold it open too, and it could not be run ("text file busy").
pub(crate) fn copy(folder: &Path) -> PathBuf {
    let binary = folder.join("copied");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_stheno")).arg(&binary).status();
    assert!(copied.unwrap().success());
    binary
}
