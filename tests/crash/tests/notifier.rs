//! Killed while it sends, a process leaves records that neither lose a
//! notification nor let one go out twice.
//!
//! A process is killed after so many lines that it has said, which differs from
//! round to round; what it was doing then is as chance has it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use stheno_test_support::{compile_cache, guest};

const ROUNDS: usize = 40;

#[derive(Default)]
struct Told {
    /// How often the provider said that it went out.
    out: BTreeMap<String, usize>,
    /// The id under which it was sent.
    sent: BTreeMap<String, String>,
    /// Of which it is not known.
    unsure: BTreeSet<String>,
    starts: usize,
    done: bool,
}

impl Told {
    fn take(&mut self, line: &str) {
        // Of the provider: `... ntf_1: email to KEY`.
        if let Some((_, key)) = line.split_once(": email to ") {
            let key = key.split([' ', ',']).next().unwrap();
            *self.out.entry(key.to_owned()).or_default() += 1;
            return;
        }
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["ready"] => self.starts += 1,
            ["done"] => self.done = true,
            ["sent", key, id] => {
                let first = self.sent.entry(key.to_owned()).or_insert_with(|| id.to_owned());
                assert_eq!(first, id, "{key} has another record");
            }
            ["unsure", key] => drop(self.unsure.insert(key.to_owned())),
            ["known", status, key] => match status {
                "unknown" => drop(self.unsure.insert(key.to_owned())),
                "success" => assert_eq!(self.out.get(key), Some(&1), "{key} is no success"),
                _ => panic!("{line}"),
            },
            // The log says other things as well.
            _ => {}
        }
    }
}

struct Processes {
    guest: PathBuf,
    cache: PathBuf,
    records: PathBuf,
}

impl Processes {
    /// Runs one; kills it after so many sends that it knows of, if it is to be
    /// killed.
    fn run(&self, told: &mut Told, round: &str, keys: &[String], lives: Option<usize>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stheno-crash-notifier"))
            .args([&self.guest, &self.cache, &self.records])
            .arg(round)
            .args(keys)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut line, mut sends) = (String::new(), 0);
        while output.read_line(&mut line).unwrap() > 0 {
            // The last line counts only if it is whole.
            if let Some(whole) = line.strip_suffix('\n') {
                sends += usize::from(whole.starts_with("sent "));
                told.take(whole);
            }
            line.clear();
            if lives == Some(sends) {
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert_eq!(status.success(), lives.is_none(), "round {round}: {status}");
    }
}

#[test]
fn killed_at_any_moment_no_notification_goes_out_twice_and_none_that_was_sent_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes {
        guest: guest("notifications-local"),
        cache: compile_cache(env!("CARGO_TARGET_TMPDIR")),
        records: folder.path().join("notifications.redb"),
    };
    let mut told = Told::default();
    for round in 0..ROUNDS {
        // Sent before or not, every one of these is asked for once more.
        let keys: Vec<_> = told.out.keys().rev().take(50).cloned().collect();
        let lives = keys.len() + 1 + round * 7 % 61;
        let lives = lives.saturating_sub(told.unsure.len().min(50)).max(1);
        processes.run(&mut told, &round.to_string(), &keys, Some(lives));
    }
    let keys: Vec<_> = told.out.keys().cloned().collect();
    told.done = false;
    processes.run(&mut told, "check", &keys, None);
    assert!(told.done);
    assert_eq!(told.starts, ROUNDS + 1);

    assert!(told.out.len() > ROUNDS, "{}", told.out.len());
    for (key, times) in &told.out {
        assert_eq!(*times, 1, "{key} went out {times} times");
        // It is known as sent, or as one of which nobody can know.
        assert_ne!(told.sent.contains_key(key), told.unsure.contains(key), "{key}");
    }
    for key in told.sent.keys() {
        assert!(told.out.contains_key(key), "{key} was never handed over");
    }
    // Not every kill was between two sends.
    assert!(!told.unsure.is_empty());
}
