//! What the lifecycle promises, whichever module a provider serves.

use stheno::ErrorKind;

use crate::check::{Outcome, equal, holds, there};
use crate::subject::{Handle, Subject};

/// The cases of the lifecycle under the ids of a module.
macro_rules! lifecycle {
    ($module:literal, $handle:ty) => {
        cases! {
            $handle:
            concat!($module, ".lifecycle.describe") =>
                "A provider has a name and a version, and names each of its features once and by a name of the contract.",
                $crate::lifecycle::describes::<$handle>;
            concat!($module, ".lifecycle.health") =>
                "A provider that was started says that calls can be served.",
                $crate::lifecycle::is_healthy::<$handle>;
            concat!($module, ".lifecycle.options") =>
                "An option that the provider does not know is refused by name, and it does not start.",
                $crate::lifecycle::refuses_unknown_options::<$handle>;
            concat!($module, ".lifecycle.stop") =>
                "A provider stops without an error, and nothing is served after that.",
                $crate::lifecycle::stops::<$handle>;
        }
    };
}

/// The optional features that the contracts name.
const FEATURES: &[&str] = &[
    "tags",
    "matching", // cache
    "delay",
    "priority",
    "groups",
    "dead-letters",
    "retained",
    "durable", // events, locking, workflows
    "nested",
    "schedules", // workflows
    "list",
    "copy",
    "links",
    "ranges", // files
    "outbox", // notifications
];

pub(crate) async fn describes<H: Handle>(s: Subject<H>) -> Outcome {
    let info = s.trial().target().info();
    holds(!info.name.is_empty(), || "the name is empty".to_owned())?;
    holds(!info.version.is_empty(), || "the version is empty".to_owned())?;
    for (at, feature) in info.features.iter().enumerate() {
        holds(FEATURES.contains(&feature.as_str()), || {
            format!("no contract has a feature {feature:?}")
        })?;
        holds(!info.features.iter().take(at).any(|other| other == feature), || {
            format!("the feature {feature:?} is named twice")
        })?;
    }
    let module = s.trial().target().module();
    let again = s.runtime().status().await.into_iter().find(|it| it.module == module);
    equal("what it says of itself in another runtime", &there("it", again)?.info, info)
}

pub(crate) async fn is_healthy<H: Handle>(s: Subject<H>) -> Outcome {
    let module = s.trial().target().module();
    let status = s.runtime().status().await.into_iter().find(|it| it.module == module);
    Ok(there("the provider", status)?.health?)
}

pub(crate) async fn refuses_unknown_options<H: Handle>(s: Subject<H>) -> Outcome {
    const UNKNOWN: &str = "no_provider_has_this_option";
    let trial = s.stop().await?;
    let mut provider = trial.provider().clone();
    provider.options.insert(UNKNOWN.to_owned(), true.into());
    let refused = trial.start_as(provider).await.err();
    let told: Vec<_> = there("an error about an unknown option", refused)?
        .problems()
        .into_iter()
        .map(|problem| problem.message)
        .collect();
    holds(told.iter().any(|text| text.contains(UNKNOWN)), || {
        format!("the error does not name the option `{UNKNOWN}`: {}", told.join("; "))
    })
}

pub(crate) async fn stops<H: Handle>(s: Subject<H>) -> Outcome {
    let (module, runtime) = (s.trial().target().module(), s.runtime().clone());
    let _trial = s.stop().await?;
    let status = runtime.status().await.into_iter().find(|it| it.module == module);
    let health = there("the provider", status)?.health;
    crate::check::fails("health after the stop", health, ErrorKind::Unavailable).map(drop)
}
