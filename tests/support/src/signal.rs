//! Stopping the process of a server, and letting it go on.

use std::process::Command;
use std::time::{Duration, Instant};

/// Stops a process, and returns when none of its threads runs any more: the signal is
/// sent before that, and what still runs may answer somebody.
pub(crate) fn stop(process: &str) {
    send("-STOP", process);
    until_stopped(process);
}

pub(crate) fn go_on(process: &str) {
    send("-CONT", process);
}

fn send(signal: &str, process: &str) {
    let sent = Command::new("kill").args([signal, process]).status().expect("there is kill");
    assert!(sent.success(), "{signal} was not sent");
}

/// Waits until a process that was sent the signal has stopped, or has ended.
pub(crate) fn until_stopped(process: &str) {
    let begun = Instant::now();
    while !is_stopped(process) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{process} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_stopped(process: &str) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state stands behind the name, which may have brackets of its own.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_none_or(|state| matches!(state, 'T' | 'Z' | 'X'))
    })
}
