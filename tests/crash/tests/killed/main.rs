//! Killed two hundred times at any moment, durable events and workflows lose
//! nothing and do nothing that they must not.
//!
//! Every round starts a process on the same stores (`src/main.rs` says what it
//! does), kills it after a while that a seed decides, and reads what it had
//! said. Waiting for that while is no guess at how long something takes: the
//! moment is what is tried.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod events;
mod runs;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use stheno_test_support::{compile_cache, guest};

const ROUNDS: usize = 200;
/// A process lives so long, in microseconds: some die while they start, most at
/// work.
const LIVES: u64 = 300_000;
/// Repeats a schedule that failed.
const SEED: &str = "STHENO_CRASH_SEED";

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// What all processes together have said.
#[derive(Default)]
struct Told {
    events: events::Told,
    runs: runs::Told,
    starts: usize,
    drained: bool,
}

impl Told {
    /// Takes what the process of this round has said; of the last line only if it is
    /// whole.
    fn take(&mut self, round: &str, said: &str) {
        self.drained = false;
        self.events.another_process();
        self.runs.another_process(round);
        for line in said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let (verb, object) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "ready" => self.starts += 1,
                "drained" => self.drained = true,
                _ => {
                    let known = self.events.take(verb, object) || self.runs.take(verb, object);
                    assert!(known, "the process said {line:?}");
                }
            }
        }
    }

    /// What the next process has to know. The last one also waits for what was
    /// not told.
    fn left(&self, last: bool, chance: &mut Chance) -> String {
        let groups = self.events.open_groups().into_iter().map(|group| format!("group {group}\n"));
        let runs = self.runs.to_ask_again(chance).into_iter().map(|run| format!("run {run}\n"));
        let left: String = groups.chain(runs).collect();
        if last { left + &self.runs.finished() } else { left }
    }
}

struct Processes {
    events: PathBuf,
    workflows: PathBuf,
    cache: PathBuf,
    folder: PathBuf,
}

impl Processes {
    /// Runs one, kills it after its time if it has one, and gives what it said.
    fn run(&self, round: &str, left: &str, life: Option<Duration>) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stheno-crash-child"))
            .args([&self.events, &self.workflows, &self.cache, &self.folder])
            .arg(round)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            output.read_to_string(&mut said).map(|_| said)
        });
        // Closed when it is written.
        child.stdin.take().unwrap().write_all(left.as_bytes()).unwrap();
        if let Some(life) = life {
            std::thread::sleep(life);
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        // One that ends by itself has failed, and says on standard error why.
        assert_eq!(status.success(), life.is_none(), "round {round}: {status}");
        assert!(life.is_none() || status.code().is_none(), "round {round} ended: {status}");
        reader.join().unwrap().unwrap()
    }
}

#[test]
fn killed_at_any_moment_no_accepted_event_is_lost_and_every_run_ends_as_it_should() {
    let seed = std::env::var(SEED).map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_secs(),
        |seed| seed.parse().unwrap(),
    );
    // Shown only if the test fails.
    println!("to repeat this schedule: {SEED}={seed}");
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes {
        events: guest("events-local"),
        workflows: guest("workflows-local"),
        cache: compile_cache(env!("CARGO_TARGET_TMPDIR")),
        folder: folder.path().to_owned(),
    };
    let (mut told, mut chance) = (Told::default(), Chance(seed));
    // Compiles the components if nobody has yet.
    told.take("drain", &processes.run("drain", "", None));
    for round in 0..ROUNDS {
        let life = Duration::from_micros(chance.below(LIVES));
        let left = told.left(false, &mut chance);
        let name = round.to_string();
        told.take(&name, &processes.run(&name, &left, Some(life)));
        if (round + 1) % 50 == 0 {
            // Past what catches the output of tests, since it takes a while.
            let (events, runs) = (told.events.published.len(), told.runs.accepted());
            let _ = writeln!(
                std::io::stderr(),
                "killed {} of {ROUNDS} times, {events} events and {runs} runs accepted",
                round + 1
            );
        }
    }
    let left = told.left(true, &mut chance);
    told.take("drain", &processes.run("drain", &left, None));
    assert!(told.drained);

    // Not so much died at the start that nothing was tried.
    assert!(told.starts > ROUNDS / 4, "only {} came so far as to work", told.starts);
    told.events.check(ROUNDS);
    told.runs.check(ROUNDS, &told.events.handled);
}
