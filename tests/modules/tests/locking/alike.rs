//! Whatever is asked for, providers do the same: one that was tested against a model of
//! its own (`locking-local`) is the model of the others.

use std::time::{Duration, Instant};

use stheno::{Error, Lock};
use tokio::task::JoinHandle;

use crate::{LOCKING_LOCAL, LOCKING_POSTGRES, Subject};

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const OWNERS: [Option<&str>; 4] = [None, None, Some("x"), Some("y")];
const STEPS: usize = 80;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    fn keys(&mut self) -> Vec<&'static str> {
        let mut keys: Vec<_> = (0..=self.below(3)).map(|_| KEYS[self.below(6)]).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn owner(&mut self) -> Option<&'static str> {
        OWNERS[self.below(OWNERS.len())]
    }

    fn ttl(&mut self) -> Option<Duration> {
        (self.below(3) > 0).then(|| Duration::from_millis(1 + self.below(3_000) as u64))
    }
}

/// Somebody who waits in both.
struct Waiter {
    keys: Vec<&'static str>,
    tasks: [JoinHandle<Result<String, Error>>; 2],
}

struct Both {
    subjects: [Subject; 2],
    /// Names of leases, in both.
    tokens: Vec<[String; 2]>,
    waiters: Vec<Waiter>,
}

type Seen = (String, Option<String>, Option<Duration>, u64);

async fn seen(subject: &Subject) -> Vec<Seen> {
    let page = subject.locking.held(None, None, 100).await.unwrap();
    let seen = |lock: Lock| (lock.key, lock.owner, lock.expires_in, lock.waiting);
    page.items.into_iter().map(seen).collect()
}

fn waiting(seen: &[Seen]) -> u64 {
    seen.iter().map(|(.., waiting)| waiting).sum()
}

impl Both {
    async fn start() -> Self {
        let subjects =
            [Subject::start(&LOCKING_LOCAL).await, Subject::start(&LOCKING_POSTGRES).await];
        Self { subjects, tokens: Vec::new(), waiters: Vec::new() }
    }

    /// Waits until both show the same, and nobody waits whose turn it is, and gives
    /// that; it has to be so too.
    async fn quiet(&mut self, step: &str, is_so: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let begun = Instant::now();
        loop {
            let one = seen(&self.subjects[0]).await;
            let other = seen(&self.subjects[1]).await;
            self.waiters.retain(|waiter| !waiter.tasks.iter().all(JoinHandle::is_finished));
            if one == other && is_so(&one) && !self.is_somebodys_turn(&one) {
                return one;
            }
            let late = begun.elapsed() > Duration::from_secs(10);
            assert!(!late, "after {step}:\n{one:?}\n{other:?}");
            tokio::task::yield_now().await;
        }
    }

    fn is_somebodys_turn(&self, seen: &[Seen]) -> bool {
        let is_taken = |at: usize, key: &str| {
            seen.iter().any(|(held, ..)| held == key)
                || self.waiters[..at].iter().any(|waiter| waiter.keys.contains(&key))
        };
        let waiters = self.waiters.iter().enumerate();
        waiters.into_iter().any(|(at, waiter)| !waiter.keys.iter().any(|key| is_taken(at, key)))
    }

    async fn try_acquire(&mut self, numbers: &mut Numbers) {
        let (keys, owner, ttl) = (numbers.keys(), numbers.owner(), numbers.ttl());
        let mut came = Vec::new();
        for Subject { locking, .. } in &self.subjects {
            let mut acquire = locking.try_acquire(keys.clone()).ttl(ttl);
            if let Some(owner) = owner {
                acquire = acquire.owner(owner);
            }
            came.push(acquire.await.map(stheno::Lease::keep));
        }
        match <[_; 2]>::try_from(came).unwrap() {
            [Ok(one), Ok(other)] => self.tokens.push([one, other]),
            [one, other] => {
                let told = |came: Result<String, Error>| came.unwrap_err().to_string();
                assert_eq!(told(one), told(other), "{keys:?} {owner:?}");
            }
        }
    }

    /// Waits for what somebody holds, so that it shows.
    async fn wait(&mut self, numbers: &mut Numbers, step: &str) {
        let before = self.quiet(step, |_| true).await;
        let mut keys = numbers.keys();
        let Some((held, ..)) = before.get(numbers.below(before.len().max(1))) else { return };
        keys.push(KEYS.iter().find(|key| *key == held).unwrap());
        keys.sort_unstable();
        keys.dedup();
        let ttl = numbers.ttl();
        let tasks = self.subjects.each_ref().map(|Subject { locking, .. }| {
            let (locking, keys) = (locking.clone(), keys.clone());
            tokio::spawn(
                async move { Ok(locking.acquire(keys).owner("waiter").ttl(ttl).await?.keep()) },
            )
        });
        let own = before.iter().any(|(key, owner, ..)| {
            keys.iter().any(|wanted| wanted == key) && owner.as_deref() == Some("waiter")
        });
        if own {
            // It renews what it has, or is refused because it has a part.
            for task in tasks {
                let _ = task.await.unwrap();
            }
            self.quiet(step, |_| true).await;
            return;
        }
        self.waiters.push(Waiter { keys, tasks });
        let waited = waiting(&before);
        self.quiet(step, |now| waiting(now) > waited).await;
    }

    async fn leave(&mut self, numbers: &mut Numbers, step: &str) {
        let before = self.quiet(step, |_| true).await;
        let shows = |waiter: &Waiter| {
            before.iter().any(|(held, ..)| waiter.keys.iter().any(|key| key == held))
        };
        let from = numbers.below(self.waiters.len().max(1));
        let mut places = (from..self.waiters.len()).chain(0..from);
        let Some(place) = places.find(|at| shows(&self.waiters[*at])) else { return };
        let leaves = self.waiters.remove(place);
        leaves.tasks.iter().for_each(JoinHandle::abort);
        let waited = waiting(&before);
        self.quiet(step, |now| waiting(now) < waited).await;
    }

    async fn step(&mut self, numbers: &mut Numbers, step: &str) {
        let token = numbers.below(self.tokens.len().max(1));
        let (keys, owner, ttl) = (numbers.keys(), numbers.owner(), numbers.ttl());
        let mut came = Vec::new();
        match numbers.below(12) {
            0..4 => self.try_acquire(numbers).await,
            4 | 5 => self.wait(numbers, step).await,
            6 => self.leave(numbers, step).await,
            7 if !self.tokens.is_empty() => {
                let tokens = self.tokens.remove(token);
                for (subject, token) in self.subjects.iter().zip(&tokens) {
                    came.push(u64::from(subject.locking.release(token).await.unwrap()));
                }
            }
            8 if !self.tokens.is_empty() => {
                for (subject, token) in self.subjects.iter().zip(&self.tokens[token]) {
                    came.push(u64::from(subject.locking.extend(token, ttl).await.is_ok()));
                }
            }
            9 => {
                for subject in &self.subjects {
                    came.push(subject.locking.release_keys(keys.clone(), owner).await.unwrap());
                }
            }
            10 => {
                for subject in &self.subjects {
                    came.push(subject.locking.release_all(owner).await.unwrap());
                }
            }
            _ => {
                let millis = numbers.below(1_500) as u64;
                self.subjects.iter().for_each(|subject| subject.pass(millis));
            }
        }
        assert!(came.iter().all(|one| *one == came[0]), "{step}: {came:?}");
        self.quiet(step, |_| true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_on_postgres_do_what_those_in_memory_do() {
    for seed in 1..=5_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut both = Both::start().await;
        for at in 0..STEPS {
            both.step(&mut numbers, &format!("step {at} of seed {seed}")).await;
        }
        for subject in &both.subjects {
            for owner in [None, Some("x"), Some("y")] {
                subject.locking.release_all(owner).await.unwrap();
            }
        }
        both.waiters.iter().flat_map(|waiter| &waiter.tasks).for_each(JoinHandle::abort);
    }
}
