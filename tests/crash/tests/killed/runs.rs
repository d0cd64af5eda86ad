//! What was said of runs, and what must hold of it: at each line, and in the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

use crate::Chance;

/// How many runs that were accepted each process asks for again.
const AGAIN: usize = 3;

/// The steps of a workflow and of those nested in it, each with its place in the
/// order of dependencies: those of one place have nothing to do with each other.
const ORDER: &[(&str, usize)] =
    &[("take", 0), ("left", 1), ("right", 1), ("fold", 2), ("pack", 3), ("send", 4)];
const PARCEL: &[(&str, usize)] = &[("take", 0), ("gate", 1), ("send", 2)];
const TICK: &[(&str, usize)] = &[("take", 0)];

/// Its result comes from elsewhere, and it is not compensated.
const WAITS: &str = "gate";
/// The only ones that say at first that they are busy.
const BUSY: &str = "right";
const BUSY_UNDOING: &str = "left";

fn kind(name: &str) -> &str {
    if name.starts_with("tick@") { "tick" } else { name.rsplit('-').next().unwrap() }
}

fn steps(name: &str) -> Result<&'static [(&'static str, usize)]> {
    Ok(match kind(name) {
        "whole" | "failing" | "cancelled" => ORDER,
        "completed" | "refused" => PARCEL,
        "tick" => TICK,
        _ => bail!("{name} is of no kind"),
    })
}

#[derive(Default)]
struct Run {
    asked: bool,
    accepted: bool,
    /// The process with whose input it began.
    began_with: Option<String>,
    /// The last attempt at each step, and at each compensation.
    doing: BTreeMap<String, u32>,
    undoing: BTreeMap<String, u32>,
    /// What was returned, or given to a step that waits.
    did: BTreeMap<String, BTreeSet<String>>,
    undid: BTreeSet<String>,
    /// Results that somebody has seen, so that they are recorded.
    recorded: BTreeMap<String, String>,
    completed: Option<String>,
    cancelled: bool,
    finished: BTreeSet<String>,
    ended: Option<String>,
    nested: Vec<String>,
    /// The processes that did something for it.
    processes: BTreeSet<String>,
}

impl Run {
    /// Whether it is a line about runs.
    fn take(&mut self, name: &str, process: &str, verb: &str, words: &[&str]) -> Result<bool> {
        match (verb, words) {
            ("asking", []) => self.asked = true,
            ("accepted", [input, how]) => {
                match *how {
                    "new" => {
                        ensure!(!self.accepted, "it was accepted before");
                        self.with(input)?;
                    }
                    "old" => ensure!(self.asked, "nobody asked for it"),
                    _ => return Ok(false),
                }
                self.accepted = true;
            }
            ("cancelled", []) => self.cancelled = true,
            ("completing", [token]) => {
                self.did.entry(WAITS.to_owned()).or_default().insert((*token).to_owned());
            }
            ("completed", [token]) => {
                ensure!(self.completed.is_none(), "it was completed before");
                self.completed = Some((*token).to_owned());
            }
            ("doing", [step, attempt, input, seen @ ..]) => {
                ensure!(self.finished.is_empty(), "it has finished");
                self.with(input)?;
                self.see(seen)?;
                self.doing(steps(name)?, step, attempt)?;
            }
            ("did", [step, token]) => {
                self.did.entry((*step).to_owned()).or_default().insert((*token).to_owned());
            }
            ("undoing", [step, attempt, input, seen @ ..]) => {
                self.with(input)?;
                self.see(seen)?;
                self.undoing(steps(name)?, step, attempt, process)?;
            }
            ("undid", [step]) => drop(self.undid.insert((*step).to_owned())),
            ("finished", [state]) => drop(self.finished.insert((*state).to_owned())),
            ("ended", [state, input, seen @ ..]) => {
                self.with(input)?;
                self.see(seen)?;
                ensure!(self.ended.replace((*state).to_owned()).is_none(), "it ended before");
            }
            ("nested", [state]) => self.nested.push((*state).to_owned()),
            _ => return Ok(false),
        }
        if matches!(verb, "doing" | "undoing") {
            self.processes.insert(process.to_owned());
        }
        Ok(true)
    }

    /// Of one run no two inputs are ever seen.
    fn with(&mut self, process: &str) -> Result<()> {
        let first = self.began_with.get_or_insert_with(|| process.to_owned());
        ensure!(first == process, "it began with the input of {first} before");
        Ok(())
    }

    /// A result that was seen is one that was returned, and stays what it is.
    fn see(&mut self, results: &[&str]) -> Result<()> {
        for result in results {
            let (step, token) = result.split_once('=').context("no STEP=TOKEN")?;
            let returned = self.did.get(step).is_some_and(|tokens| tokens.contains(token));
            ensure!(returned, "{step} never returned {token}");
            let first = self.recorded.entry(step.to_owned()).or_insert_with(|| token.to_owned());
            ensure!(first == token, "the result of {step} was {first}");
        }
        Ok(())
    }

    /// A step begins when those that it comes after have returned, not after any
    /// that comes after it, not again if its result is recorded, and not once
    /// something is undone.
    fn doing(&mut self, steps: &[(&str, usize)], step: &str, attempt: &str) -> Result<()> {
        ensure!(self.undoing.is_empty(), "it goes on though {:?} is undone", self.undoing);
        ensure!(!self.recorded.contains_key(step), "its result is recorded");
        let place = place(steps, step)?;
        for (other, at) in steps {
            ensure!(*at >= place || self.did.contains_key(*other), "{other} is not done");
            ensure!(*at <= place || !self.doing.contains_key(*other), "{other} has begun");
        }
        next_attempt(&mut self.doing, step, attempt, step == BUSY)
    }

    /// A step that has begun is undone when those that come after it are, not
    /// after any that it comes after. An earlier process may have been killed when it
    /// had the step and had not said so yet.
    fn undoing(
        &mut self,
        steps: &[(&str, usize)],
        step: &str,
        attempt: &str,
        process: &str,
    ) -> Result<()> {
        let inherited = self.began_with.as_deref() != Some(process);
        ensure!(inherited || self.doing.contains_key(step), "it never began");
        let place = place(steps, step)?;
        for (other, at) in steps {
            ensure!(*at <= place || !self.is_left(other), "{other} is not undone");
            ensure!(*at >= place || !self.undoing.contains_key(*other), "{other} is being undone");
        }
        next_attempt(&mut self.undoing, step, attempt, step == BUSY_UNDOING)
    }

    /// Whether it was done and is not undone.
    fn is_left(&self, step: &str) -> bool {
        step != WAITS && self.did.contains_key(step) && !self.undid.contains(step)
    }

    fn check(&self, name: &str, events: &BTreeSet<String>) -> Result<()> {
        let Some(state) = self.ended.as_deref() else {
            ensure!(!self.accepted && self.doing.is_empty(), "it has not ended");
            return Ok(());
        };
        let done = match kind(name) {
            "whole" | "completed" | "tick" => true,
            "failing" | "refused" => false,
            // If nobody knows of the cancel, it may not have been.
            _ => !self.cancelled && state == "done",
        };
        ensure!(state == if done { "done" } else { "reverted" }, "it has ended as {state}");
        if let (Some(told), Some(is)) = (&self.completed, self.recorded.get(WAITS)) {
            ensure!(told == is, "it was completed with {told}, and has {is}");
        }
        for (step, _) in steps(name)? {
            if done {
                ensure!(self.recorded.contains_key(*step), "there is no result of {step}");
                ensure!(!self.undoing.contains_key(*step), "{step} is undone");
            } else {
                ensure!(!self.is_left(step), "{step} is not undone");
            }
        }
        if steps(name)? == ORDER { self.check_order(name, done, state, events) } else { Ok(()) }
    }

    fn check_order(
        &self,
        name: &str,
        done: bool,
        state: &str,
        events: &BTreeSet<String>,
    ) -> Result<()> {
        ensure!(self.nested.len() <= 1, "it began {} nested runs", self.nested.len());
        ensure!(!done || self.nested.len() == 1, "it began no nested run");
        ensure!(self.nested.iter().all(|it| it == state), "the nested one is {:?}", self.nested);
        ensure!(self.finished.contains(state), "its end was told as {:?}", self.finished);
        if kind(name) == "cancelled" {
            // Perhaps it was done before.
            return Ok(());
        }
        ensure!(self.finished.len() == 1, "its end was told as {:?}", self.finished);
        let published = events.contains(&format!("run:{name}"));
        ensure!(published == done, "published its event: {published}");
        Ok(())
    }
}

fn place(steps: &[(&str, usize)], step: &str) -> Result<usize> {
    let found = steps.iter().find(|(id, _)| *id == step);
    Ok(found.with_context(|| format!("{step} is no step of it"))?.1)
}

/// An attempt that was lost with its process has not failed.
fn next_attempt(
    last: &mut BTreeMap<String, u32>,
    step: &str,
    attempt: &str,
    busy: bool,
) -> Result<()> {
    let attempt = attempt.parse()?;
    let last = last.entry(step.to_owned()).or_insert(1);
    let next = if busy { 2 } else { 1 };
    ensure!((*last..=next).contains(&attempt), "attempt {attempt} after {last}");
    *last = attempt;
    Ok(())
}

#[derive(Default)]
pub(crate) struct Told {
    runs: BTreeMap<String, Run>,
    process: String,
}

impl Told {
    pub(crate) fn another_process(&mut self, round: &str) {
        round.clone_into(&mut self.process);
    }

    /// Whether it is a line about runs.
    pub(crate) fn take(&mut self, verb: &str, object: &str) -> bool {
        let words: Vec<_> = object.split(' ').collect();
        let name = words[0];
        let run = self.runs.entry(name.to_owned()).or_default();
        let taken = run.take(name, &self.process, verb, &words[1..]);
        taken.unwrap_or_else(|wrong| panic!("{verb} {object}: {wrong}"))
    }

    pub(crate) fn accepted(&self) -> usize {
        self.runs.values().filter(|run| run.accepted).count()
    }

    /// Runs of whose start nobody knows, and some others.
    pub(crate) fn to_ask_again(&self, chance: &mut Chance) -> Vec<&String> {
        let asked = |accepted| {
            let all =
                self.runs.iter().filter(move |(_, run)| run.asked && run.accepted == accepted);
            all.map(|(name, _)| name)
        };
        let old: Vec<_> = asked(true).collect();
        let some = (0..AGAIN.min(old.len())).map(|_| old[chance.below(old.len() as u64) as usize]);
        asked(false).chain(some).collect()
    }

    /// The ends that were told, for the last process.
    pub(crate) fn finished(&self) -> String {
        let states = |(name, run): (&String, &Run)| {
            run.finished
                .iter()
                .map(|state| format!("finished {name} {state}\n"))
                .collect::<String>()
        };
        self.runs.iter().map(states).collect()
    }

    /// Holds once everything has come to an end; `events` were handled.
    pub(crate) fn check(&self, rounds: usize, events: &BTreeSet<String>) {
        let mut kinds = BTreeMap::<_, usize>::new();
        for (name, run) in &self.runs {
            run.check(name, events).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
            if let Some(state) = &run.ended {
                *kinds.entry(format!("{} {state}", kind(name))).or_default() += 1;
            }
        }
        let count = |of: fn(&Run) -> bool| self.runs.values().filter(|run| of(run)).count();
        let resumed = count(|run| run.processes.len() > 1);
        let repeated = count(|run| run.did.values().any(|tokens| tokens.len() > 1));
        println!("{kinds:?}, {resumed} resumed, {repeated} with steps that were repeated");
        // There was something of each to be found wrong.
        for kind in ["whole done", "failing reverted", "cancelled reverted", "completed done"] {
            assert!(kinds.get(kind).is_some_and(|count| *count > rounds / 10), "{kind}: {kinds:?}");
        }
        assert!(kinds.contains_key("refused reverted") && kinds.contains_key("tick done"));
        assert!(resumed > rounds / 4 && repeated > 0);
    }
}
