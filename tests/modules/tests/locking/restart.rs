//! A provider that loses all that it held: with its memory, if it keeps that there,
//! or with the data of its server.

use stheno::config::{ByteSize, MemoryLimit, ProviderConfig, Resolve};
use stheno::{ErrorKind, ExecuteOptions};
use tokio::task::JoinSet;

use crate::{Subject, assert_kind};

impl Subject {
    /// The same provider with little memory, so that it can be brought down.
    async fn mortal(self) -> Self {
        if self.server.is_some() {
            return self;
        }
        let guest = stheno_test_support::guest(self.provider.name);
        let mut config = ProviderConfig::new(Resolve::File(guest));
        config.limits.memory = MemoryLimit::new(ByteSize::mib(8)).unwrap();
        Self::with(self.provider, config).await.unwrap()
    }

    /// Locks long keys until the provider has no memory left for them; or empties its
    /// server.
    async fn bring_down(&self) {
        if let Some(server) = &self.server {
            assert_eq!(server.client().text(&["FLUSHALL"]), "OK");
            // Its time is what keeps fences growing, and it does not stand still.
            self.pass(1);
            return;
        }
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
    // In whatever order: they have asked again.
    let mut served = JoinSet::new();
    for waits in waits {
        served.spawn(async move {
            let lease = waits.await.unwrap().unwrap();
            let fence = lease.fence();
            lease.release().await.unwrap();
            fence
        });
    }
    while let Some(fence) = served.join_next().await {
        assert!(fence.unwrap() > lost.fence());
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
        if during.server.is_some() {
            during.pass(10_000);
        }
        std::future::pending::<()>().await;
    });
    assert_kind(job.await, ErrorKind::LostLease);
}

for_every_provider! {
    fences_grow_over_the_providers_death,
    who_waits_does_not_wait_for_a_dead_provider,
    a_job_ends_when_the_provider_has_lost_its_lease,
}
