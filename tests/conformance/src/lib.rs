//! The conformance suite: what every provider of a module must do, whatever
//! language it is written in and whatever stands behind it.
//!
//! A [`Target`] is a component under test. [`run`] holds it against the cases of
//! its module and gives a [`Report`]. Each [`Case`] has an id that never changes
//! its meaning, the guarantee that it checks, and runs on a runtime of its own,
//! whose clock the case moves: no case sleeps until a time to live has passed.
//!
//! The cases go through the embed API, so that provider and host together are
//! held to what an app may rely on. They use names of their own, so that a
//! provider may have kept what an earlier run left.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use stheno::config::Resolve;
//! use stheno_conformance::{Options, Target, run};
//! use stheno_engine::Source;
//!
//! let bytes = tokio::fs::read("my-cache.wasm").await?;
//! let source = Source { name: "my-cache.wasm".into(), bytes: bytes.into() };
//! let file = Resolve::File("my-cache.wasm".into());
//! let target = Target::find(file, source, None, None).await?;
//! let report = run(&Arc::new(target), &Options::default(), |_| {}).await;
//! assert_eq!(report.failed, 0, "{report}");
//! # Ok(()) }
//! ```
//!
//! What belongs here is what the contracts in `wit/` promise for every provider.
//! What one provider promises beyond that is tested in its folder, what the host
//! adds in `tests/modules`.

#[macro_use]
mod case;
#[macro_use]
mod lifecycle;

mod analytics;
mod cache;
mod check;
mod events;
mod files;
mod locking;
mod notifications;
mod report;
mod run;
mod subject;
mod target;
mod trial;
mod workflows;

pub use case::{Applies, Case, cases};
pub use report::{CaseReport, Report, Status};
pub use run::{Options, plan, run};
pub use target::{Target, TargetError};
