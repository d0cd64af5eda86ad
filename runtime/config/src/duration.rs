//! Durations as a person writes them: `"30s"`.

use std::time::Duration;

use crate::quantity::{Unit, UnitError, largest_exact, split, to_base};

const UNITS: &[Unit] = &[
    Unit::new("d", 86_400_000_000_000),
    Unit::new("h", 3_600_000_000_000),
    Unit::new("m", 60_000_000_000),
    Unit::new("s", 1_000_000_000),
    Unit::new("ms", 1_000_000),
    Unit::new("us", 1_000),
    Unit::new("ns", 1),
];

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Reads a duration: a whole number and one unit with nothing between them.
///
/// The units are `ns`, `us`, `ms`, `s`, `m` (minutes), `h` and `d` (of 24
/// hours). There are no fractions and no sums (`"1.5h"` and `"1h30m"` are
/// errors; write `"90m"`), so that every language that reads options needs
/// one small rule. A bare number is an error too: nobody can see its unit.
///
/// ```
/// use std::time::Duration;
/// use stheno_config::{format_duration, parse_duration};
///
/// assert_eq!(parse_duration("90m")?, Duration::from_secs(5400));
/// assert_eq!(format_duration(Duration::from_millis(1500)), "1500ms");
/// assert!(parse_duration("30").is_err());
/// # Ok::<(), stheno_config::UnitError>(())
/// ```
///
/// # Errors
///
/// [`UnitError`] says what is wrong, and often what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text, UNITS, "s")?;
    let nanos = to_base(number, unit)?;
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| UnitError::TooLarge)?;
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).map_err(|_| UnitError::TooLarge)?;
    Ok(Duration::new(seconds, rest))
}

/// Shows a duration in the largest unit that shows it exactly.
///
/// [`parse_duration`] reads the text back as the same duration.
pub fn format_duration(duration: Duration) -> String {
    largest_exact(duration.as_nanos(), UNITS, "s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_documented_unit_is_read() {
        for (text, duration) in [
            ("0s", Duration::ZERO),
            ("5ns", Duration::from_nanos(5)),
            ("5us", Duration::from_micros(5)),
            ("500ms", Duration::from_millis(500)),
            ("30s", Duration::from_secs(30)),
            ("10m", Duration::from_secs(600)),
            ("1h", Duration::from_secs(3600)),
            ("2d", Duration::from_secs(172_800)),
        ] {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_told_what_to_write() {
        for (text, error, hint) in [
            ("", UnitError::Empty, None),
            ("30", UnitError::NoUnit { number: "30".into(), unit: "s" }, Some("30s")),
            ("s", UnitError::NoNumber, None),
            ("-5s", UnitError::NoNumber, None),
            ("1.5h", UnitError::Fraction, None),
            ("1h30m", UnitError::Several, None),
            ("30S", UnitError::OtherSpelling { number: "30".into(), unit: "s" }, Some("30s")),
            ("30 s", UnitError::OtherSpelling { number: "30".into(), unit: "s" }, Some("30s")),
            ("3 weeks", UnitError::UnknownUnit { known: "d, h, m, s, ms, us, ns".into() }, None),
            ("99999999999999999999d", UnitError::TooLarge, None),
        ] {
            let got = parse_duration(text).unwrap_err();
            assert_eq!(got, error, "{text}");
            assert_eq!(got.instead().as_deref(), hint, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_back_as_itself(seconds: u64, nanos in 0u32..1_000_000_000) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_round_duration_reads_back_as_itself(count in 0u32..100_000, unit in 0..UNITS.len()) {
            let text = format!("{count}{}", UNITS[unit].name);
            let duration = parse_duration(&text).unwrap();
            prop_assert_eq!(duration.as_nanos(), u128::from(count) * UNITS[unit].base);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics_the_duration_parser(text: String) {
            let _ = parse_duration(&text);
        }
    }
}
