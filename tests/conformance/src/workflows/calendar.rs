//! Schedules that go by the calendar. The clock of a case begins at
//! 2000-01-01T00:00:00Z, a Saturday.

use stheno::{ErrorKind, Schedule, Workflows};

use super::{Subject, step};
use crate::case::Case;
use crate::check::{Outcome, equal, fails, names};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.calendar.fields" =>
        "An expression has five fields, or six with seconds first, of `*`, lists, ranges, steps and English names." [with "schedules"],
        fields;
    "workflows.calendar.zones" => "A calendar is that of its time zone." [with "schedules"], zones;
    "workflows.calendar.missing-hour" =>
        "A local time that does not exist is passed over." [with "schedules"], missing_hour;
    "workflows.calendar.double-hour" =>
        "Of a local time that is there twice the first counts." [with "schedules"], double_hour;
    "workflows.calendar.runs" =>
        "A schedule starts its run at the moment, and is due next at the one after it." [with "schedules"], runs;
    "workflows.calendar.wrong" =>
        "An expression or a time zone that cannot be is `invalid-argument` that says what is wrong, and no schedule is made." [with "schedules"],
        wrong;
};

/// In Unix seconds.
const BEGIN: u64 = 946_684_800;
const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
const MINUTE: u64 = 60;

impl Subject {
    /// So many seconds after the clock's begin it must be due next.
    async fn is_due(&self, expression: &str, zone: &str, after: u64) -> Outcome {
        let id = self.own("s");
        let schedule = Schedule::cron(&id, self.own("w"), expression).time_zone(zone);
        self.api.schedule(schedule).await?;
        let next = self.next("s").await?;
        equal(&format!("when {expression:?} in {zone} is due"), next, moment(after))?;
        Ok(self.api.unschedule(&id).await?)
    }
}

fn moment(after: u64) -> u128 {
    u128::from(BEGIN + after) * 1_000
}

async fn fields(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    // Not at a moment itself, and not at the begin of a second.
    s.pass(500);
    for (expression, after) in [
        ("* * * * *", MINUTE),
        ("* * * * * *", 1),
        ("0 3 * * *", 3 * HOUR),
        ("30 0 0 * * *", 30),
        ("*/10 * * * * *", 10),
        ("10-50/20 * * * *", 10 * MINUTE),
        ("45,15 * * * *", 15 * MINUTE),
        ("15,45 */6 1-5 jan *", 15 * MINUTE),
        ("0 22-23 * * *", 22 * HOUR),
        ("0 0 * * MON", 2 * DAY),
        ("0 0 * * tue-thu", 3 * DAY),
        ("0 0 * * 3", 4 * DAY),
        ("0 0 1 Feb *", 31 * DAY),
        ("0 0 1 3,6 *", 60 * DAY),
        ("0 0 29 2 *", 59 * DAY),
        ("0 0 31 * *", 30 * DAY),
        ("0 0 1 1 *", 366 * DAY),
        ("0,30 59 23 31 12 *", 365 * DAY + 24 * HOUR - MINUTE),
    ] {
        s.is_due(expression, "UTC", after).await?;
    }
    Ok(())
}

async fn zones(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    for (expression, zone, after) in [
        ("0 3 * * *", "Europe/Berlin", 2 * HOUR),
        ("0 0 * * *", "America/New_York", 5 * HOUR),
        ("45 5 * * *", "Asia/Kolkata", 15 * MINUTE),
        ("0 12 * * *", "Asia/Tokyo", 3 * HOUR),
        // Still December there.
        ("0 20 31 12 *", "America/New_York", HOUR),
        ("0 12 1 7 *", "Europe/Berlin", 182 * DAY + 10 * HOUR),
    ] {
        s.is_due(expression, zone, after).await?;
    }
    Ok(())
}

async fn missing_hour(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    // On the 26th of March Berlin's clocks go from 02:00 to 03:00.
    s.pass((84 * DAY + 12 * HOUR) * 1_000);
    s.is_due("30 2 * * *", "Europe/Berlin", 86 * DAY + HOUR / 2).await?;
    s.is_due("30 3 * * *", "Europe/Berlin", 85 * DAY + HOUR + HOUR / 2).await?;
    // A year later that day has this hour.
    s.is_due("30 2 26 3 *", "Europe/Berlin", 450 * DAY + HOUR / 2).await
}

async fn double_hour(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    // On the 29th of October Berlin's clocks go from 03:00 to 02:00.
    s.pass((301 * DAY + 12 * HOUR) * 1_000);
    let schedule = Schedule::cron(s.own("s"), s.own("w"), "30 2 * * *").time_zone("Europe/Berlin");
    s.api.schedule(schedule).await?;
    let first = 302 * DAY + HOUR / 2;
    equal("when it is due", s.next("s").await?, moment(first))?;
    s.goes_by((12 * HOUR + HOUR / 2) * 1_000).await?;
    equal("the runs", s.runs_of("s").await?, [format!("s@{}", moment(first))])?;
    equal("when it is due next", s.next("s").await?, moment(303 * DAY + HOUR + HOUR / 2))
}

async fn runs(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.api.schedule(Schedule::cron(s.own("s"), s.own("w"), "*/20 * * * *")).await?;
    for n in 1..=3 {
        s.goes_by(20 * MINUTE * 1_000 - 1).await?;
        s.idle("w").await?;
        s.goes_by(1).await?;
        s.does("w", ["a"]).await?;
        let last = s.scheduled("s").await?.last_run.map(|run| s.short(&run));
        equal("the last run", last, Some(format!("s@{}", moment(n * 20 * MINUTE))))?;
        equal("when it is due next", s.next("s").await?, moment((n + 1) * 20 * MINUTE))?;
    }
    Ok(())
}

async fn wrong(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    let cron = |expression: &str| Schedule::cron(s.own("s"), s.own("w"), expression);
    for expression in [
        "*",
        "* * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * * * someday",
        "*/0 * * * *",
        "5-1 * * * *",
        "a * * * *",
        "-1 * * * *",
        "1, * * * *",
        "0 0 30 2 *",
    ] {
        let made = s.api.schedule(cron(expression)).await;
        fails(&format!("the expression {expression:?}"), made, ErrorKind::InvalidArgument)?;
    }
    for zone in ["Europe/Atlantis", "berlin", "UTC+25"] {
        let made = s.api.schedule(cron("* * * * *").time_zone(zone)).await;
        names("a time zone that is none", made, ErrorKind::InvalidArgument, zone)?;
    }
    equal("how many schedules there are", s.schedules().await?.len(), 0)
}
