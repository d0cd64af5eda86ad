//! When a schedule is due.
//!
//! The fields are read here and the zone's rules come from `jiff`, because the
//! contract says what becomes of a local time that does not exist or is there
//! twice, and crates that do both decide that in their own way.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use stheno_sdk::workflows::{self, Cadence};
use stheno_sdk::{Error, Result};

/// The shortest `every-ms`.
const SHORTEST_MS: u64 = 1_000;

/// How far ahead is looked: a 29th of February on a given day of the week may be
/// 40 years away.
const YEARS_AHEAD: i16 = 50;

/// When a schedule is due, after it was checked.
pub(super) enum Rhythm {
    Cron(Box<Cron>),
    /// So many milliseconds, counted from this moment.
    Every {
        ms: u64,
        from: u64,
    },
}

impl Rhythm {
    /// Reads a cadence; an interval counts from `from`.
    pub(super) fn new(cadence: &Cadence, from: u64) -> Result<Self> {
        match cadence {
            Cadence::EveryMs(ms) if *ms < SHORTEST_MS => Err(Error::InvalidArgument(format!(
                "`every-ms` is {ms}; write at least {SHORTEST_MS}"
            ))),
            Cadence::EveryMs(ms) => Ok(Self::Every { ms: *ms, from }),
            Cadence::Cron(cron) => Ok(Self::Cron(Box::new(Cron::new(cron)?))),
        }
    }

    /// The first moment after this one, in Unix ms.
    pub(super) fn after(&self, unix_ms: u64) -> Option<u64> {
        match self {
            Self::Cron(cron) => cron.after(unix_ms),
            Self::Every { ms, from } => {
                let passed = unix_ms.checked_sub(*from).map_or(0, |since| since / ms);
                from.checked_add(ms.checked_mul(passed.checked_add(1)?)?)
            }
        }
    }

    /// The last moment up to `now`, given one that is not later.
    pub(super) fn last(&self, moment: u64, now: u64) -> u64 {
        // Between `early`, which has a moment after it that is not later than
        // `now`, and `late`, which has none, there is the last one.
        let (mut last, mut early, mut late) = (moment, moment, now);
        while early < late {
            let middle = early + (late - early) / 2;
            match self.after(middle).filter(|&after| after <= now) {
                Some(after) => {
                    last = after;
                    early = after;
                }
                None => late = middle,
            }
        }
        last
    }
}

/// An expression in a time zone.
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both the day of the month and the day of the week are restricted: then
    /// one of them is enough.
    either_day: bool,
    zone: TimeZone,
}

/// A field: what it is called, its range, and names for its values.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", low: 0, high: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", low: 0, high: 59, names: &[] };
const HOUR: Field = Field { name: "hour", low: 0, high: 23, names: &[] };
const DAY: Field = Field { name: "day of the month", low: 1, high: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    low: 1,
    high: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
/// Sunday is 0 and 7.
const WEEKDAY: Field = Field {
    name: "day of the week",
    low: 0,
    high: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

impl Field {
    fn value(&self, text: &str) -> Option<u32> {
        let named =
            self.names.iter().zip(self.low..).find(|(name, _)| text.eq_ignore_ascii_case(name));
        if let Some((_, value)) = named {
            return Some(value);
        }
        let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let value = text.parse().ok().filter(|_| is_number)?;
        (self.low..=self.high).contains(&value).then_some(value)
    }

    /// The values that an item of the list stands for.
    fn item(&self, item: &str) -> Option<u64> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => {
                let is_number = step.bytes().all(|c| c.is_ascii_digit());
                (range, Some(step.parse::<u32>().ok().filter(|&step| is_number && step > 0)?))
            }
        };
        let (low, high) = if range == "*" {
            (self.low, self.high)
        } else if let Some((low, high)) = range.split_once('-') {
            (self.value(low)?, self.value(high)?)
        } else {
            let value = self.value(range)?;
            // From there on, if there is a step.
            (value, if step.is_some() { self.high } else { value })
        };
        if low > high {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        Some((low..=high).step_by(step).fold(0, |all, value| all | 1 << value))
    }

    fn read(&self, text: &str) -> Result<u64> {
        text.split(',').try_fold(0, |all, item| match self.item(item) {
            Some(values) => Ok(all | values),
            None => Err(Error::InvalidArgument(format!(
                "`{item}` is no {}; write `*`, a number from {} to {}{}, a range such as `{}-{}`, a step such \
                 as `*/2`, or a list of these",
                self.name,
                self.low,
                self.high,
                self.names.first().map(|name| format!(", a name such as `{name}`")).unwrap_or_default(),
                self.low + 1,
                self.low + 3,
            ))),
        })
    }
}

fn has(values: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| values >> value & 1 == 1)
}

/// The first of the values from `from` on.
fn first(values: u64, from: i8) -> Option<i8> {
    (from..60).find(|&value| has(values, value))
}

impl Cron {
    fn new(cron: &workflows::Cron) -> Result<Self> {
        let fields: Vec<&str> = cron.expression.split_ascii_whitespace().collect();
        let (seconds, fields) = match fields.as_slice() {
            [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
            [second, minute, hour, day, month, weekday] => {
                (*second, [minute, hour, day, month, weekday])
            }
            other => {
                return Err(Error::InvalidArgument(format!(
                    "`{}` has {} fields; write minute, hour, day of the month, month and day of the week, such as \
                     `0 3 * * mon-fri`, with the seconds before them if there are any",
                    cron.expression,
                    other.len()
                )));
            }
        };
        let [minute, hour, day, month, weekday] = fields;
        let mut weekdays = WEEKDAY.read(weekday)?;
        weekdays |= weekdays >> 7 & 1;
        let zone = TimeZone::get(&cron.time_zone).map_err(|_| {
            Error::InvalidArgument(format!(
                "`{}` is no time zone; write one such as `Europe/Berlin`, or `UTC`",
                cron.time_zone
            ))
        })?;
        Ok(Self {
            seconds: SECOND.read(seconds)?,
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
            zone,
        })
    }

    fn after(&self, unix_ms: u64) -> Option<u64> {
        let second = i64::try_from(unix_ms / 1_000).ok()?;
        let local = self.zone.to_datetime(Timestamp::from_second(second).ok()?);
        let (mut date, mut time) = (local.date(), Some(local.time()));
        // The moment itself is not after itself.
        time = time.and_then(|time| self.next_time(time, true));
        let last_year = local.year().checked_add(YEARS_AHEAD)?;
        loop {
            if self.has_day(date) {
                while let Some(at) = time {
                    let found = self.moment(date.to_datetime(at));
                    if let Some(found) = found.filter(|&found| found > second) {
                        return u64::try_from(found).ok()?.checked_mul(1_000);
                    }
                    time = self.next_time(at, true);
                }
            }
            date = if has(self.months, date.month()) {
                date.tomorrow().ok()?
            } else {
                date.last_of_month().tomorrow().ok()?
            };
            if date.year() > last_year {
                return None;
            }
            time = self.next_time(Time::midnight(), false);
        }
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month())
            && if self.either_day { day || weekday } else { day && weekday }
    }

    /// The first time of day from `time` on, or after it.
    fn next_time(&self, time: Time, after: bool) -> Option<Time> {
        let (hour, minute) = (time.hour(), time.minute());
        let from = time.second() + i8::from(after);
        let found = if has(self.hours, hour) && has(self.minutes, minute) {
            first(self.seconds, from).map(|second| (hour, minute, second))
        } else {
            None
        };
        let found = found.or_else(|| {
            let minute = has(self.hours, hour).then(|| first(self.minutes, minute + 1))??;
            Some((hour, minute, first(self.seconds, 0)?))
        });
        let found = found.or_else(|| {
            let hour = first(self.hours, hour + 1)?;
            Some((hour, first(self.minutes, 0)?, first(self.seconds, 0)?))
        });
        found.and_then(|(hour, minute, second)| Time::new(hour, minute, second, 0).ok())
    }

    /// The second that a local time stands for. One that does not exist stands for
    /// none, one that is there twice for the first.
    fn moment(&self, local: DateTime) -> Option<i64> {
        let offset = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => return None,
            AmbiguousOffset::Fold { before, .. } => before,
        };
        offset.to_timestamp(local).ok().map(Timestamp::as_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ZonedDateTime;
    use proptest::prelude::*;

    fn rhythm(expression: &str, zone: &str) -> Result<Rhythm> {
        let cron =
            workflows::Cron { expression: expression.to_owned(), time_zone: zone.to_owned() };
        Rhythm::new(&Cadence::Cron(cron), 0)
    }

    fn unix(moment: &str) -> u64 {
        let zoned: ZonedDateTime = moment.parse().unwrap();
        u64::try_from(zoned.timestamp().as_millisecond()).unwrap()
    }

    /// The moments after one, as local times with their offsets.
    fn moments(expression: &str, after: &str, count: usize) -> Vec<String> {
        let zone = after.parse::<ZonedDateTime>().unwrap().time_zone().clone();
        let rhythm = rhythm(expression, zone.iana_name().unwrap()).unwrap();
        let mut at = unix(after);
        let next = |_| {
            at = rhythm.after(at).unwrap();
            let moment = Timestamp::from_millisecond(i64::try_from(at).unwrap()).unwrap();
            moment.to_zoned_datetime(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string()
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn the_usual_expressions_mean_what_they_mean() {
        let noon = "2026-03-04T12:00:00[UTC]";
        for (expression, expected) in [
            ("* * * * *", "Wed 2026-03-04 12:01:00"),
            ("*/5 * * * * *", "Wed 2026-03-04 12:00:05"),
            ("0 12 * * *", "Thu 2026-03-05 12:00:00"),
            ("30 3 1 * *", "Wed 2026-04-01 03:30:00"),
            ("0 9 * * mon-FRI", "Thu 2026-03-05 09:00:00"),
            ("0 0 * * 7", "Sun 2026-03-08 00:00:00"),
            ("0 0 * * sun", "Sun 2026-03-08 00:00:00"),
            ("0 0 29 2 *", "Tue 2028-02-29 00:00:00"),
            ("59 59 23 31 DEC *", "Thu 2026-12-31 23:59:59"),
            ("10/20 8-10/2,20 * * *", "Wed 2026-03-04 20:10:00"),
            // Either of the days if both are given.
            ("0 0 6 * tue", "Fri 2026-03-06 00:00:00"),
            ("0 0 */2 * tue", "Tue 2026-03-17 00:00:00"),
        ] {
            assert_eq!(
                moments(expression, noon, 1),
                [format!("{expected} +00:00")],
                "{expression}"
            );
        }
    }

    #[test]
    fn a_local_time_that_does_not_exist_is_passed_over() {
        assert_eq!(
            moments("30 2 * * *", "2026-03-28T00:00:00[Europe/Berlin]", 2),
            ["Sat 2026-03-28 02:30:00 +01:00", "Mon 2026-03-30 02:30:00 +02:00"]
        );
        assert_eq!(
            moments("0 * * * *", "2026-03-29T00:30:00[Europe/Berlin]", 2),
            ["Sun 2026-03-29 01:00:00 +01:00", "Sun 2026-03-29 03:00:00 +02:00"]
        );
        // Where midnight is missing.
        assert_eq!(
            moments("0 0 * * *", "2026-04-22T12:00:00[Africa/Cairo]", 2),
            ["Thu 2026-04-23 00:00:00 +02:00", "Sat 2026-04-25 00:00:00 +03:00"]
        );
    }

    #[test]
    fn of_a_local_time_that_is_there_twice_the_first_counts() {
        assert_eq!(
            moments("30 2 * * *", "2026-10-24T12:00:00[Europe/Berlin]", 2),
            ["Sun 2026-10-25 02:30:00 +02:00", "Mon 2026-10-26 02:30:00 +01:00"]
        );
        assert_eq!(
            moments("*/30 * * * *", "2026-10-25T01:45:00[Europe/Berlin]", 3),
            [
                "Sun 2026-10-25 02:00:00 +02:00",
                "Sun 2026-10-25 02:30:00 +02:00",
                "Sun 2026-10-25 03:00:00 +01:00"
            ]
        );
        // Asked within the second pass.
        let second_pass = "2026-10-25T02:10:00+01:00[Europe/Berlin]";
        assert_eq!(moments("30 2 * * *", second_pass, 1), ["Mon 2026-10-26 02:30:00 +01:00"]);
    }

    #[test]
    fn what_is_no_expression_or_zone_says_what_to_write() {
        for (expression, zone, expected) in [
            ("* * * *", "UTC", "has 4 fields"),
            ("60 * * * *", "UTC", "`60` is no minute"),
            ("* 24 * * *", "UTC", "`24` is no hour"),
            ("* * 0 * *", "UTC", "`0` is no day of the month"),
            ("* * * foo *", "UTC", "`foo` is no month"),
            ("* * * * 8", "UTC", "`8` is no day of the week"),
            ("* * * * fri-mon", "UTC", "`fri-mon`"),
            ("*/0 * * * *", "UTC", "`*/0`"),
            ("+1 * * * *", "UTC", "`+1`"),
            ("1,,2 * * * *", "UTC", "`` is no minute"),
            ("@daily", "UTC", "has 1 fields"),
            ("* * * * *", "Europe/Atlantis", "`Europe/Atlantis` is no time zone"),
        ] {
            let text = format!("{:?}", rhythm(expression, zone).err().unwrap());
            assert!(text.contains("InvalidArgument") && text.contains(expected), "{text}");
        }
        assert!(Rhythm::new(&Cadence::EveryMs(999), 0).is_err());
        assert_eq!(rhythm("0 0 30 2 *", "UTC").unwrap().after(0), None);
    }

    fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
        let value = move || low..=high;
        prop_oneof![
            3 => Just("*".to_owned()),
            2 => value().prop_map(|n| n.to_string()),
            1 => (value(), value()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            1 => (1u32..20).prop_map(|n| format!("*/{n}")),
            1 => (value(), value()).prop_map(|(a, b)| format!("{a},{b}")),
        ]
    }

    proptest! {
        #[test]
        fn the_next_moment_is_the_first_that_the_fields_allow(
            minute in field(0, 59), hour in field(0, 23), day in field(1, 31), weekday in field(0, 7),
            zone in prop::sample::select(&["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"][..]),
            // Around both changes of the clock in 2026, by the minute.
            start in prop_oneof![1_774_650_000u64..1_774_920_000, 1_792_800_000u64..1_793_070_000, 1_775_300_000u64..1_775_400_000],
        ) {
            let rhythm = rhythm(&format!("{minute} {hour} {day} * {weekday}"), zone).unwrap();
            let Rhythm::Cron(cron) = &rhythm else { unreachable!() };
            let start = start / 60 * 60;
            // One minute after the other, for two days.
            let allowed = |second: &u64| {
                let moment = Timestamp::from_second(i64::try_from(*second).unwrap()).unwrap();
                let local = cron.zone.to_datetime(moment);
                let is_first = cron.zone.to_ambiguous_timestamp(local).earlier().unwrap() == moment;
                has(cron.minutes, local.minute()) && has(cron.hours, local.hour()) && cron.has_day(local.date()) && is_first
            };
            let expected = (1..2_880).map(|minute| start + 60 * minute).find(allowed);
            let found = rhythm.after(start * 1_000).map(|ms| ms / 1_000);
            prop_assert_eq!(found.filter(|&found| found < start + 60 * 2_880), expected);
        }

        #[test]
        fn the_last_moment_is_the_one_before_the_next(
            every in 1_000u64..100_000, from in 0u64..1_000_000, passed in 0u64..50, more in 0u64..1_000_000,
        ) {
            let rhythm = Rhythm::new(&Cadence::EveryMs(every), from).unwrap();
            let first = from + every * (passed + 1);
            let now = first + more;
            let last = rhythm.last(first, now);
            prop_assert!(last <= now && (last - from).is_multiple_of(every) && now - last < every);
            prop_assert_eq!(rhythm.after(last).unwrap(), last + every);
        }

        #[test]
        fn garbage_is_refused_and_harmless(expression in "[0-9*/,a-z -]{0,30}") {
            if let Ok(rhythm) = rhythm(&expression, "Europe/Berlin") {
                let _ = rhythm.after(1_774_650_000_000);
            }
        }
    }
}
