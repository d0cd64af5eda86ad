//! `locking-local` with one fault at a time.

// The logic is the real provider's, so that nothing is wrong but the fault.
#[path = "../../../../../guest-providers/locking-local/src/options.rs"]
mod options;
#[path = "../../../../../guest-providers/locking-local/src/table/mod.rs"]
mod table;

use faulty_support::split;
use serde::Deserialize;
use stheno_sdk::locking::{
    Answer, Exchanged, Extension, Freed, Lock, LockPage, Locking, Polled, Request,
};
use stheno_sdk::{Description, Instances, Lifecycle, Result, clock};

use options::Options;
use table::Table;

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    #[default]
    None,
    /// Whoever asks for a key that is taken without an owner takes it over.
    TwoHolders,
    /// Only the first key of a request is locked.
    LocksOne,
    /// A lease lives a millisecond too long.
    ExpiresLate,
    /// Every grant has the same fence.
    FencesStand,
    /// Releasing all of an owner releases what nobody owns too.
    ReleasesNobodys,
    /// Who asks again as the same owner is refused.
    DoesNotRenew,
    /// What a lost lease is told is that it was released.
    HidesLoss,
}

struct Faulty {
    fault: Fault,
    table: Table,
}

impl Lifecycle for Faulty {
    fn describe() -> Description {
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        Description::new(name, version, Instances::One, &[])
    }

    fn start(options: &str) -> Result<Self> {
        let (fault, options) = split(options)?;
        let limits = stheno_sdk::options::parse::<Options>(&options)?.limits();
        Ok(Self { fault, table: Table::new(limits, clock::unix_ms(), 0) })
    }
}

impl Faulty {
    fn spoil(&mut self, request: &mut Request, now: u64) {
        match self.fault {
            Fault::TwoHolders if request.owner.is_none() => {
                self.table.release_keys(&request.keys, None, now);
            }
            Fault::LocksOne => request.keys.truncate(1),
            Fault::ExpiresLate => request.ttl_ms = request.ttl_ms.map(|ttl| ttl.saturating_add(1)),
            Fault::DoesNotRenew => {
                // Under another name it is somebody else.
                if let Some(owner) = &mut request.owner
                    && self.table.inspect(&request.keys, now).iter().flatten().next().is_some()
                {
                    owner.push('2');
                }
            }
            _ => {}
        }
    }
}

impl Locking for Faulty {
    fn exchange(&mut self, tokens: Vec<String>, mut requests: Vec<Request>) -> Result<Exchanged> {
        let now = clock::monotonic_ms();
        for request in &mut requests {
            self.spoil(request, now);
        }
        let mut exchanged = self.table.exchange(tokens, requests, now);
        if self.fault == Fault::HidesLoss {
            exchanged.lost.clear();
        }
        if self.fault == Fault::FencesStand {
            for answer in &mut exchanged.answers {
                if let Answer::Granted(grant) = answer {
                    grant.fence = 1;
                }
            }
        }
        Ok(exchanged)
    }

    fn poll(&mut self, tickets: Vec<String>, _: u64) -> Result<Polled> {
        Ok(self.table.poll(tickets, clock::monotonic_ms()))
    }

    fn abandon(&mut self, tickets: Vec<String>) -> Result<Vec<String>> {
        Ok(self.table.abandon(&tickets, clock::monotonic_ms()))
    }

    fn extend(&mut self, extensions: Vec<Extension>) -> Result<Vec<String>> {
        Ok(self.table.extend(extensions, clock::monotonic_ms()))
    }

    fn release_keys(&mut self, keys: Vec<String>, owner: Option<String>) -> Result<Freed> {
        Ok(self.table.release_keys(&keys, owner.as_deref(), clock::monotonic_ms()))
    }

    fn release_all(&mut self, owner: Option<String>) -> Result<Freed> {
        let now = clock::monotonic_ms();
        let mut freed = self.table.release_all(owner.as_deref(), now);
        if self.fault == Fault::ReleasesNobodys && owner.is_some() {
            let more = self.table.release_all(None, now);
            freed.keys += more.keys;
            freed.woken.extend(more.woken);
        }
        Ok(freed)
    }

    fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<Lock>>> {
        Ok(self.table.inspect(&keys, clock::monotonic_ms()))
    }

    fn held(&mut self, owner: Option<String>, after: Option<String>, max: u32) -> Result<LockPage> {
        let now = clock::monotonic_ms();
        Ok(self.table.held(owner.as_deref(), after.as_deref(), max, now))
    }

    fn resume(&mut self, fence: u64) -> Result<()> {
        self.table.resume(fence);
        Ok(())
    }
}

stheno_sdk::export_locking_provider!(Faulty);
