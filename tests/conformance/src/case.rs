//! A case, and the list of all.

use futures_util::future::BoxFuture;
use stheno::config::ModuleName;

use crate::check::Outcome;
use crate::trial::Trial;
use crate::{analytics, cache, events, files, locking, notifications, workflows};

/// One guarantee, and how it is checked.
pub struct Case {
    /// Names it for ever: `MODULE.SUBJECT.WHAT`. An id that is given up is not
    /// used again for anything else.
    pub id: &'static str,
    /// What is checked, as one sentence.
    pub guarantee: &'static str,
    /// Which providers it is for.
    pub applies: Applies,
    pub(crate) run: fn(Trial) -> BoxFuture<'static, Outcome>,
}

/// Which providers a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// All of them.
    Always,
    /// Those with these features; it is skipped for the others.
    With(&'static [&'static str]),
    /// Those without this feature; there is no such case for the others.
    Without(&'static str),
    /// Those that are granted a folder which they may write to, so that the suite
    /// sees what came through; there is no such case for the others.
    Seen,
}

/// The cases of a module, in the order in which they run. A module without a
/// suite has none.
#[must_use]
pub fn cases(module: ModuleName) -> Vec<&'static Case> {
    let groups: &[&'static [Case]] = match module {
        ModuleName::Cache => cache::CASES,
        ModuleName::Events => events::CASES,
        ModuleName::Locking => locking::CASES,
        ModuleName::Workflows => workflows::CASES,
        ModuleName::Files => files::CASES,
        ModuleName::Notifications => notifications::CASES,
        ModuleName::Analytics => analytics::CASES,
        _ => &[],
    };
    groups.iter().copied().flatten().collect()
}

/// Makes a list of cases out of `"id" => "guarantee" [with "feature"], function;`
/// where the function takes a started provider. The handle of its module comes
/// first.
macro_rules! cases {
    (
        $handle:ty:
        $($id:expr => $guarantee:literal $([$how:ident $($feature:literal)*])?, $function:path;)*
    ) => {
        &[$($crate::case::Case {
            id: $id,
            guarantee: $guarantee,
            applies: cases!(@applies $($how $($feature)*)?),
            run: |trial| {
                Box::pin(async move {
                    $function($crate::subject::Subject::<$handle>::begin(trial).await?).await
                })
            },
        }),*]
    };
    (@applies) => { $crate::case::Applies::Always };
    (@applies with $($feature:literal)+) => { $crate::case::Applies::With(&[$($feature),+]) };
    (@applies without $feature:literal) => { $crate::case::Applies::Without($feature) };
    (@applies seen) => { $crate::case::Applies::Seen };
}
