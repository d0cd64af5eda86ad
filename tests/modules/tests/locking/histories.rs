//! Histories by chance: whichever provider serves, the same happens.
//!
//! `locking-local` is held against a model of its own; here it is the model, and
//! whatever is done to it is done to another at the same moment of a manual clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stheno::{Error, Lock};
use tokio::task::JoinHandle;

use crate::{LOCKING_LOCAL, LOCKING_POSTGRES, LOCKING_REDIS, NEVER, Provider, Subject};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const OWNERS: [Option<&str>; 3] = [None, Some("x"), Some("y")];
/// In a history less time passes than makes a ticket stale.
const STEPS: usize = 80;

/// Numbers that are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn keys(&mut self) -> Vec<&'static str> {
        (0..=self.below(3)).map(|_| self.of(&KEYS)).collect()
    }

    fn ttl(&mut self) -> Option<Duration> {
        let millis = self.of(&[0, 1, 300, 1_000]);
        (millis > 0).then(|| Duration::from_millis(millis))
    }
}

/// One provider, and what was got from it so far.
struct Side {
    subject: Subject,
    tokens: Vec<String>,
    waits: BTreeMap<String, JoinHandle<Result<String, Error>>>,
    largest: u64,
}

/// What can be seen of a key, but for the number itself.
type Seen = Vec<Option<(Option<String>, Option<Duration>, u64)>>;

impl Side {
    async fn start(provider: &'static Provider) -> Self {
        let subject = Subject::start(provider).await;
        Self { subject, tokens: Vec::new(), waits: BTreeMap::new(), largest: 0 }
    }

    async fn step(&mut self, chance: &mut Chance, number: usize) -> String {
        let locking = self.subject.locking.clone();
        match chance.below(10) {
            0..=2 => {
                let (keys, owner, ttl) = (chance.keys(), chance.of(&OWNERS), chance.ttl());
                let mut acquire = locking.try_acquire(keys).ttl(ttl);
                if let Some(owner) = owner {
                    acquire = acquire.owner(owner);
                }
                match acquire.await {
                    Ok(lease) => {
                        assert!(lease.fence() > self.largest);
                        self.largest = lease.fence();
                        self.tokens.push(lease.keep());
                        "granted".into()
                    }
                    Err(error) => error.to_string(),
                }
            }
            3 | 4 => {
                let (keys, ttl) = (chance.keys(), chance.ttl());
                // Who waits for keys that nobody holds, behind others, is not seen.
                let locks = self.locks().await;
                let held = |key: &&str| {
                    KEYS.iter().zip(&locks).any(|(its, lock)| its == key && lock.is_some())
                };
                if !keys.iter().any(held) {
                    return "of no use".into();
                }
                // By its owner it is seen whether it was granted.
                let owner = format!("w{number}");
                let before = self.queued().await;
                let acquire = locking.clone();
                let its = owner.clone();
                let waits = tokio::spawn(async move {
                    acquire.acquire(keys).owner(its).ttl(ttl).await.map(stheno::Lease::keep)
                });
                while self.queued().await == before && !waits.is_finished() {
                    tokio::task::yield_now().await;
                }
                self.waits.insert(owner, waits);
                "asked".into()
            }
            5 => match self.token(chance) {
                Some(token) => format!("{:?}", locking.release(&token).await),
                None => "nothing".into(),
            },
            6 => {
                let ttl = chance.ttl();
                match self.token(chance) {
                    Some(token) => format!("{:?}", locking.extend(&token, ttl).await),
                    None => "nothing".into(),
                }
            }
            7 => {
                let (keys, owner) = (chance.keys(), chance.of(&OWNERS));
                format!("{:?}", locking.release_keys(keys, owner).await)
            }
            8 => format!("{:?}", locking.release_all(chance.of(&OWNERS)).await),
            _ => {
                self.subject.pass(chance.of(&[1, 299, 500, 700]));
                "passed".into()
            }
        }
    }

    fn token(&self, chance: &mut Chance) -> Option<String> {
        let at = chance.below(self.tokens.len().max(1));
        self.tokens.get(at).cloned()
    }

    async fn locks(&self) -> Vec<Option<Lock>> {
        self.subject.locking.inspect(KEYS).await.unwrap()
    }

    /// How many stand in all the queues of keys that are held.
    async fn queued(&self) -> u64 {
        self.locks().await.iter().flatten().map(|lock| lock.waiting).sum()
    }

    /// What can be seen once all who were granted something have it.
    async fn settled(&mut self) -> (Seen, Vec<String>) {
        let locks = self.locks().await;
        let mut granted = Vec::new();
        for owner in locks.iter().flatten().filter_map(|lock| lock.owner.clone()) {
            if let Some(waits) = self.waits.remove(&owner) {
                self.tokens.push(waits.await.unwrap().unwrap());
                granted.push(owner);
            }
        }
        let largest = locks.iter().flatten().map(|lock| lock.fence).max().unwrap_or_default();
        self.largest = self.largest.max(largest);
        let seen = |lock: Lock| (lock.owner, lock.expires_in, lock.waiting);
        (locks.into_iter().map(|lock| lock.map(seen)).collect(), granted)
    }
}

async fn history(provider: &'static Provider, seed: u64) {
    let mut model = Side::start(&LOCKING_LOCAL).await;
    let mut other = Side::start(provider).await;
    let mut chance = Chance(seed);
    for number in 0..STEPS {
        let mut same = Chance(chance.0);
        let expected = model.step(&mut chance, number).await;
        let came = other.step(&mut same, number).await;
        assert_eq!(came, expected, "seed {seed}, step {number}");
        let expected = model.settled().await;
        let mut came = other.settled().await;
        // Elsewhere nobody but who waits takes what time has freed, when it looks again.
        let begun = Instant::now();
        while came != expected && begun.elapsed() < Duration::from_secs(10) {
            let (seen, mut granted) = other.settled().await;
            granted.append(&mut came.1);
            granted.sort_by_key(|owner| expected.1.iter().position(|its| its == owner));
            came = (seen, granted);
        }
        assert_eq!(came, expected, "seed {seed}, step {number}");
    }
}

async fn histories(provider: &'static Provider) {
    for seed in 0..24 {
        let ended = tokio::time::timeout(NEVER, history(provider, seed)).await;
        assert!(ended.is_ok(), "seed {seed} never came to its end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_locks_on_redis_do_what_those_in_memory_do() {
    histories(&LOCKING_REDIS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_locks_in_postgresql_do_what_those_in_memory_do() {
    histories(&LOCKING_POSTGRES).await;
}
