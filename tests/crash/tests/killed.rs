//! Killed two hundred times at any moment, durable events and workflows lose nothing.
//!
//! Every round starts a process on the same store (`src/main.rs` says what it
//! does), kills it after a while that a seed decides, and reads what it had
//! said. Waiting for that while is no guess at how long something takes: the
//! moment is what is tried.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use stheno_test_support::{compile_cache, guest};

const ROUNDS: usize = 200;
/// Events of one group, as in the child.
const GROUP: usize = 5;
/// A process lives so long, in microseconds: some die while they start, most at
/// work.
const LIVES: u64 = 220_000;
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

/// The steps of a run, each with its place in the order of dependencies.
const STEPS: [(&str, usize); 5] =
    [("take", 0), ("left", 1), ("right", 1), ("pack", 2), ("send", 3)];

fn rank(step: &str) -> usize {
    STEPS.iter().find(|(id, _)| *id == step).unwrap().1
}

/// What all processes together have said.
#[derive(Default)]
struct Told {
    published: BTreeSet<String>,
    handled: BTreeSet<String>,
    settled: BTreeSet<String>,
    staged: BTreeSet<String>,
    /// What a release said, first time.
    released: BTreeMap<String, usize>,
    accepted: BTreeSet<String>,
    did: BTreeMap<String, BTreeSet<String>>,
    undid: BTreeMap<String, BTreeSet<String>>,
    ended: BTreeMap<String, String>,
    starts: usize,
    drained: bool,
}

impl Told {
    /// Takes what one process has said; of the last line only if it is whole.
    fn take(&mut self, said: &str) {
        let settled_before = self.settled.clone();
        for line in said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let (verb, object) = line.split_once(' ').unwrap_or((line, ""));
            match verb {
                "ready" => self.starts += 1,
                "drained" => self.drained = true,
                "published" => drop(self.published.insert(object.to_owned())),
                "staged" => drop(self.staged.insert(object.to_owned())),
                "settled" => drop(self.settled.insert(object.to_owned())),
                "handling" => {
                    assert!(
                        !settled_before.contains(object),
                        "{object} came again, though settled"
                    );
                    self.handled.insert(object.to_owned());
                }
                "released" => {
                    let (group, count) = object.split_once(' ').unwrap();
                    let count: usize = count.parse().unwrap();
                    assert!(count == 0 || count == GROUP, "{count} of {group} were released");
                    self.released.entry(group.to_owned()).or_insert(count);
                }
                "accepted" => drop(self.accepted.insert(object.to_owned())),
                "did" => self.did(object),
                "undid" => self.undid(object),
                "ended" => {
                    let (run, state) = object.split_once(' ').unwrap();
                    self.ended.insert(run.to_owned(), state.to_owned());
                }
                _ => panic!("the process said {line:?}"),
            }
        }
    }

    /// A step begins only when what it comes after is recorded, which then is
    /// not done again; nothing is done once undoing has begun.
    fn did(&mut self, object: &str) {
        let (run, step) = object.split_once(' ').unwrap();
        assert!(!self.undid.contains_key(run), "{object} was done after it was undone");
        let steps = self.did.entry(run.to_owned()).or_default();
        assert!(steps.iter().all(|other| rank(other) <= rank(step)), "{object} was done again");
        steps.insert(step.to_owned());
    }

    fn undid(&mut self, object: &str) {
        let (run, step) = object.split_once(' ').unwrap();
        let steps = self.undid.entry(run.to_owned()).or_default();
        assert!(steps.iter().all(|other| rank(other) >= rank(step)), "{object} came too late");
        steps.insert(step.to_owned());
    }

    fn check_runs(&self) {
        for run in &self.accepted {
            assert!(self.ended.contains_key(run), "{run} was accepted and has not ended");
        }
        for (run, state) in &self.ended {
            let did = self.did.get(run).cloned().unwrap_or_default();
            match state.as_str() {
                "done" => {
                    assert_eq!(did.len(), STEPS.len(), "{run} is done by {did:?}");
                    assert!(!self.undid.contains_key(run), "{run} is done and was undone");
                }
                "reverted" => assert_eq!(self.undid.get(run), Some(&did), "{run}"),
                _ => panic!("{run} is {state}"),
            }
        }
        for state in ["done", "reverted"] {
            assert!(self.ended.values().any(|it| it == state), "no run is {state}");
        }
    }

    /// Groups that were staged and of whose release nobody knows.
    fn open_groups(&self) -> Vec<String> {
        self.staged.iter().filter(|group| !self.released.contains_key(*group)).cloned().collect()
    }

    /// How many events of a group were handled.
    fn of_group(&self, group: &str) -> usize {
        (0..GROUP).filter(|n| self.handled.contains(&format!("{group}/{n}"))).count()
    }
}

struct Processes {
    guest: PathBuf,
    cache: PathBuf,
    workflows: PathBuf,
    folder: PathBuf,
}

impl Processes {
    /// Runs one, kills it after its time if it has one, and gives what it said.
    fn run(&self, round: &str, groups: &[String], life: Option<Duration>) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stheno-crash-child"))
            .args([&self.guest, &self.workflows, &self.cache, &self.folder])
            .arg(round)
            .args(groups)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            output.read_to_string(&mut said).map(|_| said)
        });
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
fn killed_at_any_moment_no_accepted_event_is_lost_and_no_group_is_half_released() {
    let seed = std::env::var(SEED).map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_secs(),
        |seed| seed.parse().unwrap(),
    );
    // Shown only if the test fails.
    println!("to repeat this schedule: {SEED}={seed}");
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes {
        guest: guest("events-local"),
        cache: compile_cache(env!("CARGO_TARGET_TMPDIR")),
        workflows: guest("workflows-local"),
        folder: folder.path().to_owned(),
    };
    let (mut told, mut chance) = (Told::default(), Chance(seed));
    // Compiles the component if nobody has yet.
    told.take(&processes.run("drain", &[], None));
    for round in 0..ROUNDS {
        let life = Duration::from_micros(chance.below(LIVES));
        let groups = told.open_groups();
        told.take(&processes.run(&round.to_string(), &groups, Some(life)));
    }
    told.drained = false;
    let groups = told.open_groups();
    told.take(&processes.run("drain", &groups, None));
    assert!(told.drained);

    println!(
        "{} starts, {} published, {} groups",
        told.starts,
        told.published.len(),
        told.staged.len()
    );
    // Not so much died at the start that nothing was tried.
    assert!(told.starts > ROUNDS / 4 && told.published.len() > ROUNDS && !told.staged.is_empty());
    let lost: Vec<_> = told.published.difference(&told.handled).collect();
    assert!(lost.is_empty(), "{} accepted events were lost: {lost:?}", lost.len());
    assert!(told.open_groups().is_empty());
    for group in &told.staged {
        assert_eq!(told.of_group(group), GROUP, "{group} was staged and is not whole");
    }
    told.check_runs();
    // Groups of whose staging nobody was told are there whole or not at all.
    let named = told.handled.iter().filter_map(|name| name.split_once('/'));
    for (group, _) in named {
        assert_eq!(told.of_group(group), GROUP, "{group} came half");
    }
}
