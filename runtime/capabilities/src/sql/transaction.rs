//! Transactions that a guest holds.

use std::sync::Arc;
use std::time::Duration;

use stheno_contracts::Error;
use stheno_contracts::sql::{Outcome, Statement};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::bindings::Binding;
use super::link::{Lease, Live};
use super::refusal::Failed;
use super::run::{self, Rows};

/// How long a rollback may take that nobody waits for.
const ROLL_BACK_WITHIN: Duration = Duration::from_secs(5);

/// An open transaction. Dropped, it is rolled back.
pub(super) struct Transaction {
    binding: Arc<Binding>,
    open: Option<Open>,
    /// A statement failed, so that it can only be rolled back.
    failed: bool,
}

struct Open {
    lease: Lease,
    _permit: OwnedSemaphorePermit,
}

impl Transaction {
    pub(super) async fn begin(binding: Arc<Binding>) -> Result<Self, Error> {
        let open = binding
            .within(1, 0, async {
                let permit = binding.transaction_permit().await?;
                let mut lease = binding.link.borrow().await?;
                let live = lease.open()?;
                let begun = live.client.batch_execute("BEGIN").await;
                begun.map_err(|error| Error::from(live.failed(&error)))?;
                Ok(Open { lease, _permit: permit })
            })
            .await?;
        Ok(Self { binding, open: Some(open), failed: false })
    }

    /// Whether anything more can come of it.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) async fn query(&mut self, statement: Statement) -> Result<Outcome, Error> {
        self.make(statement, Rows::Wanted).await
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, Error> {
        Ok(self.make(statement, Rows::Counted).await?.affected)
    }

    async fn make(&mut self, statement: Statement, rows: Rows) -> Result<Outcome, Error> {
        let bytes = self.binding.admitted(std::slice::from_ref(&statement))?;
        // If this is cut off, the transaction is gone with it.
        let Some(mut open) = self.open.take() else {
            return Err(Error::Unavailable("the transaction has ended; begin another".into()));
        };
        let binding = Arc::clone(&self.binding);
        let mut room = binding.room();
        let made = binding
            .within(1, bytes, async {
                Ok(run::one(open.lease.open()?, &statement, rows, &mut room).await)
            })
            .await;
        binding.charge(&room);
        match made {
            Ok(Ok(outcome)) => {
                self.open = Some(open);
                Ok(outcome)
            }
            Ok(Err(Failed::Told(error))) => {
                self.failed = true;
                self.open = Some(open);
                Err(error)
            }
            Ok(Err(Failed::Broken(error))) => Err(error),
            Err(error) => {
                // Beyond a quota nothing was sent.
                if !matches!(error, Error::Timeout(_)) {
                    self.open = Some(open);
                }
                Err(error)
            }
        }
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        let Some(mut open) = self.open.take() else {
            return Err(Error::Unavailable("the transaction has ended; begin another".into()));
        };
        let how = if self.failed { "ROLLBACK" } else { "COMMIT" };
        self.binding
            .within(1, 0, async {
                let ended = end(open.lease.open()?, how).await;
                open.lease.settle_after(ended)
            })
            .await?;
        if self.failed {
            return Err(Error::Unavailable(
                "a statement of the transaction failed, so it was rolled back".into(),
            ));
        }
        Ok(())
    }

    /// Changes the session as no guest can.
    #[cfg(test)]
    pub(super) async fn behind_its_back(&self, text: &str) {
        if let Some(live) = self.open.as_ref().and_then(|open| open.lease.live()) {
            let _ = live.client.batch_execute(text).await;
        }
    }

    /// Ends it, and waits for that.
    pub(super) async fn roll_back(mut self) {
        if let Some(open) = self.open.take() {
            open.roll_back().await;
        }
    }
}

impl Open {
    async fn roll_back(mut self) {
        let rolled_back = async {
            let Ok(live) = self.lease.open() else { return };
            let ended = end(live, "ROLLBACK").await;
            // Whatever came of it, there is nobody to tell.
            let _ = self.lease.settle_after(ended);
        };
        let _ = tokio::time::timeout(ROLL_BACK_WITHIN, rolled_back).await;
    }
}

/// Ends the transaction, and looks whether the session is what it was.
async fn end(live: &mut Live, how: &str) -> Result<(), Failed> {
    let ended = live.client.batch_execute(how).await;
    ended.map_err(|error| live.failed(&error))?;
    live.look().await
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(open.roll_back());
        }
    }
}
