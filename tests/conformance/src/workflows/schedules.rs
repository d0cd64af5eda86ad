//! Runs that begin by themselves.

use std::time::{Duration, SystemTime};

use stheno::{
    CauseKind, ErrorKind, Overlap, RunFilter, RunState, Schedule, ScheduleStatus, Workflows,
};

use super::{Subject, done, step, waits};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, holds, names, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.schedules.interval" =>
        "A schedule with an interval starts a run each time it has passed since it was made, and not a millisecond earlier." [with "schedules"],
        interval;
    "workflows.schedules.runs" =>
        "A run of a schedule is called by it, `@` and the moment, has its input, and is found by it." [with "schedules"],
        runs;
    "workflows.schedules.listed" =>
        "All schedules are listed, ordered by id, each as it was made, with when it is due next." [with "schedules"],
        listed;
    "workflows.schedules.counts" =>
        "A schedule tells how many runs it has started, how many moments it passed over, and its last run." [with "schedules"],
        counts;
    "workflows.schedules.skip" =>
        "With `skip` no run is started while one of the schedule has not ended." [with "schedules"], skip;
    "workflows.schedules.allow" =>
        "With `allow` runs are started regardless of others." [with "schedules"], allow;
    "workflows.schedules.replace" =>
        "With `replace` the run that has not ended is cancelled and a new one is started." [with "schedules"],
        replace;
    "workflows.schedules.max-runs" =>
        "A schedule starts at most as many runs as it says, and then is removed." [with "schedules"], max_runs;
    "workflows.schedules.catch-up" =>
        "A schedule that catches up makes up for all moments that passed with one run, for the last of them." [with "schedules"],
        catch_up;
    "workflows.schedules.replaced" =>
        "A schedule replaces the one of its id, and what that has started counts on." [with "schedules"], replaced;
    "workflows.schedules.removed" =>
        "A schedule that was removed starts nothing more, its runs go on, and removing it again is `not-found`." [with "schedules"],
        removed;
    "workflows.schedules.workflow" =>
        "A schedule of a workflow that is not defined is `not-found`, and one whose definition is removed goes with it." [with "schedules"],
        workflow;
};

pub(super) const TEN: Duration = Duration::from_secs(10);

impl Subject {
    /// One that starts a run every ten seconds.
    pub(super) fn every_ten(&self, id: &str, workflow: &str) -> Schedule {
        Schedule::every(self.own(id), self.own(workflow), TEN)
    }

    /// Those of the case.
    pub(super) async fn schedules(&self) -> Result<Vec<ScheduleStatus>, Fault> {
        let own = self.own("");
        let mut all = self.api.schedules().await?;
        all.retain(|status| status.schedule.id.starts_with(&own));
        Ok(all)
    }

    pub(super) async fn scheduled(&self, id: &str) -> Result<ScheduleStatus, Fault> {
        let id = self.own(id);
        there("the schedule", self.schedules().await?.into_iter().find(|it| it.schedule.id == id))
    }

    /// When it is due, in Unix ms.
    pub(super) async fn next(&self, id: &str) -> Result<u128, Fault> {
        let next = there("when it is due", self.scheduled(id).await?.next)?;
        Ok(next.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis())
    }

    /// The runs that it has started, the last one first, as the case calls them.
    pub(super) async fn runs_of(&self, schedule: &str) -> Result<Vec<String>, Fault> {
        let schedule = Some(self.own(schedule));
        self.list(RunFilter { schedule, ..RunFilter::default() }).await
    }

    /// Lets this time pass, and the provider do what that makes due.
    pub(super) async fn goes_by(&self, millis: u64) -> Outcome {
        self.pass(millis);
        self.tick().await
    }
}

async fn interval(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.pass(777);
    s.api.schedule(s.every_ten("s", "w")).await?;
    for n in 0..3 {
        s.goes_by(9_999).await?;
        equal("how many runs there are too early", s.runs_of("s").await?.len(), n)?;
        s.goes_by(1).await?;
        equal("how many runs there are in time", s.runs_of("s").await?.len(), n + 1)?;
        s.does("w", ["a"]).await?;
        s.tick().await?;
    }
    Ok(())
}

async fn runs(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w").input("5")?).await?;
    s.api.schedule(Schedule { input: vec![255], ..s.every_ten("other", "w") }).await?;
    let moment = s.next("s").await?;
    s.goes_by(10_000).await?;
    let run = format!("s@{moment}");
    equal("the runs of the schedule", s.runs_of("s").await?, [run.as_str()])?;
    let detail = s.get(&run).await?;
    equal("the input", detail.input, b"\"5\"")?;
    let status = detail.status;
    equal(
        "the schedule and the workflow",
        (status.schedule, status.workflow),
        (Some(s.own("s")), s.own("w")),
    )?;
    let [one, other] = s.takes("w", ["a", "a"]).await?;
    let mut inputs = [one.input, other.input];
    inputs.sort();
    equal("the inputs of both", inputs, [b"\"5\"".to_vec(), vec![255]])?;
    equal("whether its id is new", s.start("w", &run, "").await?, false)
}

async fn listed(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let (id, workflow) = (|id: &str| s.own(id), s.own("w"));
    let given = [
        Schedule::cron(id("a"), &workflow, "0 3 * * *").time_zone("Europe/Berlin").catch_up(true),
        s.every_ten("b", "w").overlap(Overlap::Replace).max_runs(7).input("x")?,
        Schedule::cron(id("c"), &workflow, "*/5 * * * * *").overlap(Overlap::Allow),
    ];
    for schedule in given.iter().rev() {
        s.api.schedule(schedule.clone()).await?;
    }
    let found = s.schedules().await?;
    let schedules: Vec<_> = found.iter().map(|status| status.schedule.clone()).collect();
    equal("the schedules", schedules, given)?;
    for status in found {
        let found = (status.runs, status.skipped, status.last_run);
        equal("what one has done that is new", found, (0, 0, None))?;
        holds(status.next.is_some(), || "it does not say when it is due".to_owned())?;
    }
    Ok(())
}

async fn counts(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w").overlap(Overlap::Skip)).await?;
    let first = s.next("s").await?;
    s.goes_by(10_000).await?;
    equal("when it is due", s.next("s").await?, first + 10_000)?;
    s.goes_by(10_000).await?;
    let status = s.scheduled("s").await?;
    let found = (status.runs, status.skipped, status.last_run.map(|run| s.short(&run)));
    equal("runs, skipped and last run", found, (1, 1, Some(format!("s@{first}"))))?;
    s.does("w", ["a"]).await?;
    s.goes_by(10_000).await?;
    let status = s.scheduled("s").await?;
    let found = (status.runs, status.skipped, status.last_run.map(|run| s.short(&run)));
    equal("runs, skipped and last run", found, (2, 1, Some(format!("s@{}", first + 20_000))))
}

/// Three moments pass, while no run ends.
async fn overlapping(s: &Subject, overlap: Overlap) -> Result<Vec<String>, Fault> {
    s.define("w", vec![waits("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w").overlap(overlap)).await?;
    for _ in 0..3 {
        s.goes_by(10_000).await?;
    }
    s.runs_of("s").await
}

async fn skip(s: Subject) -> Outcome {
    let runs = overlapping(&s, Overlap::Skip).await?;
    let run = crate::check::one("the runs", runs)?;
    s.stands(&run, "running: a waiting").await?;
    s.complete(&run, "a", done("1")).await?;
    equal("runs before the next moment", s.runs_of("s").await?.len(), 1)?;
    s.goes_by(10_000).await?;
    equal("runs after the next moment", s.runs_of("s").await?.len(), 2)
}

async fn allow(s: Subject) -> Outcome {
    let runs = overlapping(&s, Overlap::Allow).await?;
    equal("how many runs there are", runs.len(), 3)?;
    for run in runs {
        s.stands(&run, "running: a waiting").await?;
    }
    Ok(())
}

async fn replace(s: Subject) -> Outcome {
    let runs = overlapping(&s, Overlap::Replace).await?;
    equal("how many runs there are", runs.len(), 3)?;
    for (n, run) in runs.iter().enumerate() {
        let status = s.get(run).await?.status;
        let expected = if n == 0 { RunState::Running } else { RunState::Stopping };
        equal(&format!("the state of run {n}"), status.state, expected)?;
        let cause = status.cause.map(|cause| cause.kind);
        equal(&format!("the cause of run {n}"), cause, (n > 0).then_some(CauseKind::Cancelled))?;
    }
    Ok(())
}

async fn max_runs(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w").max_runs(2)).await?;
    for n in 1..=2 {
        equal("how many schedules there are", s.schedules().await?.len(), 1)?;
        s.goes_by(10_000).await?;
        s.does("w", ["a"]).await?;
        equal("how many runs there are", s.runs_of("s").await?.len(), n)?;
    }
    equal("how many schedules there are", s.schedules().await?.len(), 0)?;
    s.goes_by(10_000).await?;
    s.idle("w").await?;
    let id = s.own("s");
    names("removing it", s.api.unschedule(&id).await, ErrorKind::NotFound, &id)
}

async fn catch_up(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let schedule = Schedule::every(s.own("s"), s.own("w"), 10 * TEN).catch_up(true);
    s.api.schedule(schedule.overlap(Overlap::Allow)).await?;
    let first = s.next("s").await?;
    s.goes_by(1_050_000).await?;
    equal("the runs", s.runs_of("s").await?, [format!("s@{}", first + 900_000)])?;
    equal("when it is due", s.next("s").await?, first + 1_000_000)?;
    s.goes_by(50_000).await?;
    equal("how many runs there are", s.runs_of("s").await?.len(), 2)
}

async fn replaced(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.define("v", vec![step("b", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w")).await?;
    s.goes_by(10_000).await?;
    s.does("w", ["a"]).await?;
    let last = s.scheduled("s").await?.last_run;
    let slower = Schedule::every(s.own("s"), s.own("v"), 2 * TEN).max_runs(2);
    s.api.schedule(slower).await?;
    let status = s.scheduled("s").await?;
    equal("runs and the last run", (status.runs, status.last_run), (1, last))?;
    s.goes_by(19_999).await?;
    s.idle("w").await?;
    s.idle("v").await?;
    s.goes_by(1).await?;
    s.does("v", ["b"]).await?;
    equal("how many runs there are", s.runs_of("s").await?.len(), 2)?;
    equal("how many schedules are left", s.schedules().await?.len(), 0)
}

async fn removed(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w")).await?;
    s.goes_by(10_000).await?;
    let id = s.own("s");
    s.api.unschedule(&id).await?;
    names("removing it again", s.api.unschedule(&id).await, ErrorKind::NotFound, &id)?;
    equal("how many schedules there are", s.schedules().await?.len(), 0)?;
    s.does("w", ["a"]).await?;
    s.goes_by(10_000).await?;
    s.idle("w").await?;
    equal("how many runs there are", s.runs_of("s").await?.len(), 1)
}

async fn workflow(s: Subject) -> Outcome {
    let unknown = s.api.schedule(s.every_ten("s", "w")).await;
    names("a schedule of it", unknown, ErrorKind::NotFound, &s.own("w"))?;
    s.define("w", vec![step("a", &[])]).await?;
    s.define("v", vec![step("a", &[])]).await?;
    s.api.schedule(s.every_ten("s", "w")).await?;
    s.api.schedule(s.every_ten("other", "v")).await?;
    s.api.remove_definition(&s.own("w")).await?;
    equal("how many schedules there are", s.schedules().await?.len(), 1)?;
    s.define("w", vec![step("a", &[])]).await?;
    s.goes_by(10_000).await?;
    s.idle("w").await?;
    s.does("v", ["a"]).await
}
