//! A provider that loses all that it held: with its memory, if it keeps that there,
//! or with the data of its server.

use stheno::config::{ByteSize, MemoryLimit};
use stheno::{ErrorKind, ExecuteOptions};
use tokio::task::JoinSet;

use crate::{Keeps, Subject, assert_kind};

impl Subject {
    /// The same provider with little memory, so that it can be brought down.
    async fn mortal(self) -> Self {
        let memory = match self.provider.keeps {
            Keeps::InMemory => ByteSize::mib(8),
            Keeps::OnRedis => return self,
            Keeps::OnPostgres => ByteSize::mib(3),
        };
        let mut config = self.provider.config();
        config.limits.memory = MemoryLimit::new(memory).unwrap();
        Self::with(self.provider, config).await.unwrap()
    }

    /// Whether the provider's death is not that of the leases.
    fn is_durable(&self) -> bool {
        self.provider.keeps == Keeps::OnPostgres
    }

    /// Has the provider lose all that it holds: it dies of what it cannot hold in its
    /// memory, or its server is emptied.
    async fn bring_down(&self) {
        match self.provider.keeps {
            Keeps::InMemory => self.fill_up().await,
            Keeps::OnRedis => {
                let server = self.redis().unwrap();
                assert_eq!(server.client().text(&["FLUSHALL"]), "OK");
                // Its time is what keeps fences growing, and it does not stand still.
                self.pass(1);
            }
            Keeps::OnPostgres => {
                let keys = (0..1_000).map(|n| format!("{n}:{}", "k".repeat(1_000)));
                let error = self.locking.inspect(keys).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Internal);
                assert!(error.message().contains("limits.memory"), "{error}");
            }
        }
    }

    /// Locks long keys until the provider has no memory left for them.
    async fn fill_up(&self) {
        for round in 0.. {
            let keys = (0..64).map(|n| format!("{round}:{n}:{}", "k".repeat(1_000)));
            match self.locking.try_acquire(keys).owner("greedy").await {
                Ok(lease) => drop(lease.keep()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Internal);
                    assert!(error.message().contains("limits.memory"), "{error}");
                    break;
                }
            }
        }
    }
}

// L11
async fn fences_grow_over_the_providers_death(subject: Subject) {
    let subject = subject.mortal().await;
    let before = subject.lock(&["a"]).await;
    subject.bring_down().await;
    if subject.is_durable() {
        let other = subject.lock(&["b"]).await;
        assert!(other.fence() > before.fence());
        // What was held before still is, and its name means it.
        assert_kind(subject.locking.try_acquire(["a"]).await, ErrorKind::Conflict);
        before.release().await.unwrap();
        other.release().await.unwrap();
        let after = subject.lock(&["a"]).await;
        return after.release().await.unwrap();
    }
    let after = subject.locking.acquire(["a"]).await.unwrap();
    assert!(after.fence() > before.fence());
    // What was held before is lost, and its name means nothing.
    assert_kind(before.release().await, ErrorKind::LostLease);
    assert!(subject.is_held("a").await);
    after.release().await.unwrap();
}

async fn who_waits_does_not_wait_for_a_dead_provider(subject: Subject) {
    let subject = subject.mortal().await;
    let lost = subject.lock(&["a"]).await;
    let mut waits = Vec::new();
    for _ in 0..10 {
        waits.push(subject.queue(&["a"]).await);
    }
    subject.bring_down().await;
    let fence = lost.fence();
    if subject.is_durable() {
        // Nothing was lost: they wait for what they waited for.
        assert_eq!(subject.waiting(&["a"]).await, 10);
        lost.release().await.unwrap();
    }
    // In whatever order: they may have asked again.
    let mut served = JoinSet::new();
    for waits in waits {
        served.spawn(async move {
            let lease = waits.await.unwrap().unwrap();
            let fence = lease.fence();
            lease.release().await.unwrap();
            fence
        });
    }
    while let Some(served_fence) = served.join_next().await {
        assert!(served_fence.unwrap() > fence);
    }
}

// L8
async fn a_job_ends_when_the_provider_has_lost_its_lease(subject: Subject) {
    let subject = subject.mortal().await;
    let during = subject.clone();
    let job = subject.locking.execute(["a"], ExecuteOptions::default(), |_| async move {
        during.bring_down().await;
        // The next call starts it again: no time passes, and the job is told. What a
        // server has lost only the next renewal shows.
        let _ = during.locking.acquire(["b"]).await.unwrap().keep();
        if during.redis().is_some() {
            during.pass(10_000);
        }
        if !during.is_durable() {
            std::future::pending::<()>().await;
        }
    });
    // One whose lease was not lost goes on to its end.
    if subject.is_durable() {
        return job.await.unwrap();
    }
    assert_kind(job.await, ErrorKind::LostLease);
}

for_every_provider! {
    fences_grow_over_the_providers_death,
    who_waits_does_not_wait_for_a_dead_provider,
    a_job_ends_when_the_provider_has_lost_its_lease,
}
