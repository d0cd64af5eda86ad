//! The analytics module: `wit/deps/analytics/analytics.wit`.
//!
//! The contract has no way to ask what a provider was given. So most cases look
//! at what it accepts and hands over without an error. Where the config grants it
//! a folder to write to, the suite looks for what it was given in the files
//! there, as plain text: names, and numbers of properties.

mod arguments;
mod items;
mod seen;

use stheno::{Analytics, Track};

use crate::case::Case;
use crate::check::{Outcome, equal, one};
use crate::subject::Subject as Of;

pub(crate) const CASES: &[&[Case]] =
    &[lifecycle!("analytics", Analytics), items::CASES, seen::CASES, arguments::CASES];

type Subject = Of<Analytics>;

impl Subject {
    /// An event of somebody.
    fn event(&self, name: &str) -> Track {
        Track::new(self.own(name)).actor(self.own("ada"))
    }

    /// All that was tracked must be handed over.
    async fn hands_over(&self) -> Outcome {
        self.api.flush().await?;
        let status = one("providers", self.api.status())?;
        equal("how many items wait after a flush", status.waiting, 0)?;
        equal("how many items were refused", status.lost, 0)
    }
}
