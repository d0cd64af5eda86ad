//! Every attack costs the call that made it, and no other: callers of the same
//! provider and of another one are served all the while.
//!
//! Where many instances serve, the attack is repeated until enough neighbours
//! were served during it. Where one serves, its neighbours wait in line and find
//! a fresh instance, without what the dead one held; the attack is made once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use stheno_config::Limits;
use stheno_hostile::{Guest, ask, load};
use tokio::task::JoinSet;

use crate::{MANY, ONE, cpu, engine, handles, host_bytes, limits, memory, timeout};

/// Callers who keep asking one provider and check each answer.
struct Neighbours {
    served: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Neighbours {
    const CALLERS: u64 = 4;

    fn of(guest: &Guest) -> Self {
        let (served, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut callers = JoinSet::new();
        for caller in 0..Self::CALLERS {
            let (guest, served, stop) = (guest.clone(), Arc::clone(&served), Arc::clone(&stop));
            callers.spawn(async move {
                for round in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let word = format!("{caller}-{round}");
                    let answer = ask(&guest, &format!("echo:{word}")).await;
                    assert_eq!(answer, Ok(word), "a neighbour was not served");
                    served.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            });
        }
        Self { served, stop, callers }
    }

    fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Waits until so many more were served.
    async fn go_on(&mut self, more: u64) {
        let goal = self.served() + more;
        while self.served() < goal {
            // One that ends before it is told to has failed.
            if let Some(ended) = self.callers.try_join_next() {
                ended.unwrap();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
    }
}

/// What an attack is and what it gets.
struct Attack {
    key: &'static str,
    limits: Limits,
    kind: &'static str,
    says: &'static str,
}

impl Attack {
    async fn meets_its_end(&self, guest: &Guest) {
        let error = ask(guest, self.key).await.unwrap_err();
        assert_eq!(error.kind().as_str(), self.kind, "{}", error.message());
        let message = error.message();
        assert!(message.contains(self.says), "no {:?} in: {message}", self.says);
        assert!(message.contains(guest.name()), "no provider in: {message}");
    }

    async fn on_many(self) {
        const DURING: u64 = 20;
        let engine = engine();
        let attacked = load(&engine, MANY, self.limits.clone()).await;
        let apart = load(&engine, MANY, Limits::default()).await;
        let (mut same, mut other) = (Neighbours::of(&attacked), Neighbours::of(&apart));
        same.go_on(DURING).await;
        other.go_on(DURING).await;
        let goals = (same.served() + DURING, other.served() + DURING);
        while same.served() < goals.0 || other.served() < goals.1 {
            self.meets_its_end(&attacked).await;
        }
        same.go_on(DURING).await;
        other.go_on(DURING).await;
        same.leave().await;
        other.leave().await;
    }

    async fn on_one(self) {
        const DURING: u64 = 20;
        let engine = engine();
        let attacked = load(&engine, ONE, self.limits.clone()).await;
        let apart = load(&engine, ONE, Limits::default()).await;
        let (mut same, mut other) = (Neighbours::of(&attacked), Neighbours::of(&apart));
        same.go_on(DURING).await;
        other.go_on(DURING).await;
        let attack = self.meets_its_end(&attacked);
        let meanwhile = other.go_on(DURING);
        tokio::join!(attack, meanwhile);
        same.go_on(DURING).await;
        same.leave().await;
        other.leave().await;
        // One instance answered everybody since: it is a new one, and alone.
        let before: u64 = ask(&attacked, "count").await.unwrap().parse().unwrap();
        let after: u64 = ask(&attacked, "count").await.unwrap().parse().unwrap();
        assert_eq!(after, before + 1);
        assert!(before >= DURING);
    }
}

macro_rules! attacks {
    ($($name:ident: $key:expr, $limits:expr, $kind:expr, $says:expr;)*) => {$(
        mod $name {
            use super::*;

            fn attack() -> Attack {
                Attack { key: $key, limits: limits($limits), kind: $kind, says: $says }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn costs_one_call_of_many_instances() {
                attack().on_many().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn costs_one_call_of_the_one_instance() {
                attack().on_one().await;
            }
        }
    )*};
}

attacks! {
    a_panic:
        "panic", |_| (), "internal", "trapped";
    ending_the_process:
        "exit", |_| (), "internal", "trapped";
    an_endless_loop:
        "loop", |limits| limits.cpu = cpu(100), "timeout", "limits.cpu = \"100ms\"";
    an_endless_loop_of_host_calls:
        "sleep", |limits| limits.cpu = cpu(100), "timeout", "limits.cpu = \"100ms\"";
    waiting_for_ever:
        "block:86400000", |limits| limits.timeout = timeout(100),
        "timeout", "limits.timeout = \"100ms\"";
    computing_beyond_the_wall_time:
        "loop", |limits| { limits.timeout = timeout(100); limits.cpu = cpu(60_000); },
        "timeout", "limits.timeout = \"100ms\"";
    an_allocation_bomb:
        "alloc:512MiB", |limits| limits.memory = memory(32),
        "internal", "limits.memory = \"32MiB\"";
    an_endless_recursion:
        "stack", |_| (), "internal", "stack";
    a_huge_answer:
        "huge-result:16MiB", |limits| limits.host_bytes = host_bytes(1024),
        "internal", "limits.host_bytes = \"1MiB\"";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handles_or_bytes_is_refused_to_the_guest_and_costs_no_instance() {
    for guest in [MANY, ONE] {
        let limits = limits(|limits| {
            limits.handles = handles(100);
            limits.host_bytes = host_bytes(512);
        });
        let guest = load(&engine(), guest, limits).await;
        let mut neighbours = Neighbours::of(&guest);
        for _ in 0..20 {
            // Two handles for each spool.
            let answer = ask(&guest, "table").await.unwrap();
            assert!(answer.starts_with("50: "), "{answer}");
            assert!(answer.contains("limits.handles"), "{answer}");
            let error = ask(&guest, "spool:1MiB").await.unwrap_err();
            assert_eq!(error.kind().as_str(), "unavailable");
            assert!(error.message().contains("limits.host_bytes"), "{error}");
            neighbours.go_on(1).await;
        }
        neighbours.leave().await;
    }
}

#[tokio::test]
async fn an_error_of_the_guest_reaches_its_caller_as_it_is_and_costs_no_instance() {
    for guest in [MANY, ONE] {
        let guest = load(&engine(), guest, Limits::default()).await;
        for kind in [
            "not-found",
            "conflict",
            "invalid-argument",
            "denied",
            "timeout",
            "unavailable",
            "lost-lease",
            "unsupported",
            "internal",
        ] {
            let error = ask(&guest, &format!("error:{kind}:come back later")).await.unwrap_err();
            assert_eq!((error.kind().as_str(), error.message()), (kind, "come back later"));
        }
        assert_eq!(ask(&guest, "count").await.as_deref(), Ok("10"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_traps_in_a_row_leave_many_instances_serving() {
    let guest = load(&engine(), MANY, Limits::default()).await;
    for round in 0..1_000 {
        assert_eq!(ask(&guest, "panic").await.unwrap_err().kind().as_str(), "internal");
        let word = round.to_string();
        assert_eq!(ask(&guest, &format!("echo:{word}")).await, Ok(word));
    }
}
