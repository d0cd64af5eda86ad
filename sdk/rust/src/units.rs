//! Values as operators write them in a config: `"30s"`, `"64MiB"`, `100_000`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Unexpected, Visitor};

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A length of time of at least a millisecond, written such as `"30s"`,
/// `"500ms"`, `"10m"`, `"1h"` or `"7d"`. Zero is not one: what takes none
/// leaves the option out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(u64);

impl Duration {
    /// So many milliseconds, and one where none are given.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(if ms == 0 { 1 } else { ms })
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1_000))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

/// A number of bytes, at least one, written such as `"64MiB"`, `"8KiB"` or
/// `"512B"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// So many bytes, and one where none are given.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(if bytes == 0 { 1 } else { bytes })
    }

    /// So many MiB.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self::from_bytes(mib.saturating_mul(1 << 20))
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number, moved to the nearest end of the range if it is beyond.
    #[must_use]
    pub const fn nearest(n: u64) -> Self {
        Self(if n < MIN {
            MIN
        } else if n > MAX {
            MAX
        } else {
            n
        })
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Reads digits and one of the units, with nothing around them; none if it is
/// anything else, zero, or too large.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|&n| n > 0)
}

struct Scaled {
    units: &'static [(&'static str, u64)],
    expecting: &'static str,
}

impl Visitor<'_> for Scaled {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
        scaled(text, self.units).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting =
            "a duration above zero such as \"500ms\", \"30s\", \"10m\", \"1h\" or \"7d\"";
        deserializer.deserialize_str(Scaled { units: &DURATIONS, expecting }).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expecting = "a size above zero such as \"512B\", \"8KiB\", \"64MiB\" or \"1GiB\"";
        deserializer.deserialize_str(Scaled { units: &SIZES, expecting }).map(Self)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Within<const MIN: u64, const MAX: u64>;

        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Within<MIN, MAX> {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<u64, E> {
                if (MIN..=MAX).contains(&n) {
                    Ok(n)
                } else {
                    Err(E::invalid_value(Unexpected::Unsigned(n), &self))
                }
            }
        }

        deserializer.deserialize_u64(Within::<MIN, MAX>).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn duration(text: &str) -> Option<u64> {
        serde_json::from_value::<Duration>(text.into()).ok().map(Duration::as_millis)
    }

    fn size(text: &str) -> Option<u64> {
        serde_json::from_value::<Size>(text.into()).ok().map(Size::as_bytes)
    }

    #[test]
    fn the_usual_spellings_are_read() {
        assert_eq!(duration("500ms"), Some(500));
        assert_eq!(duration("30s"), Some(30_000));
        assert_eq!(duration("10m"), Some(600_000));
        assert_eq!(duration("1h"), Some(3_600_000));
        assert_eq!(size("512B"), Some(512));
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("2GiB"), Some(2 << 30));
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "s",
            "30",
            "30 s",
            " 30s",
            "-1s",
            "+1s",
            "1.5h",
            "1H",
            "0s",
            "0ms",
            "99999999999999999h",
            "٣s",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }
        for text in ["", "64", "64MB", "64mib", "64 MiB", "-1B", "0B", "99999999999999GiB"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_brings_the_parsers_down(text in "\\PC{0,24}") {
            let _ = (duration(&text), size(&text));
        }

        #[test]
        fn what_is_written_is_what_is_read(n in 1u64..1_000_000) {
            prop_assert_eq!(duration(&format!("{n}ms")), Some(n));
            prop_assert_eq!(duration(&format!("{n}s")), Some(n * 1_000));
            prop_assert_eq!(size(&format!("{n}KiB")), Some(n << 10));
        }

        #[test]
        fn a_whole_number_is_read_within_its_range_alone(n in 0u64..30) {
            let read = serde_json::from_value::<Whole<5, 20>>(n.into()).ok().map(Whole::get);
            prop_assert_eq!(read, (5..=20).contains(&n).then_some(n));
        }
    }
}
