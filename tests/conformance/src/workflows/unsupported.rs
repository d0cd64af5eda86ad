//! What a provider leaves out answers `unsupported`, and nothing worse.

use stheno::{ErrorKind, Workflows};

use super::{Subject, step};
use crate::case::Case;
use crate::check::{Outcome, names, unsupported};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.nested.unsupported" =>
        "Without the feature `nested`, a definition with a nested run is `unsupported` and is not taken." [without "nested"],
        nested;
    "workflows.schedules.unsupported" =>
        "Without the feature `schedules`, making, removing and listing them answer `unsupported`." [without "schedules"],
        schedules;
};

async fn nested(s: Subject) -> Outcome {
    s.define("child", vec![step("c", &[])]).await?;
    let steps = vec![step("a", &[]), s.nested("n", "child", &["a"])];
    unsupported("a nested run", s.api.put_definition(s.workflow("w", steps)).await)?;
    let id = s.own("w");
    let started = s.api.start_bytes(&id, Vec::new()).id(s.own("r")).await;
    names("starting it", started, ErrorKind::NotFound, &id)?;
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "r").await?;
    s.does("w", ["a"]).await
}

async fn schedules(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    unsupported("`schedule`", s.api.schedule(s.every_ten("s", "w")).await)?;
    unsupported("`unschedule`", s.api.unschedule(&s.own("s")).await)?;
    unsupported("`schedules`", s.api.schedules().await)?;
    s.pass(60_000);
    s.idle("w").await
}
