//! Sizes as a person writes them: `"64MiB"`.

use std::fmt;
use std::str::FromStr;

use crate::quantity::{Unit, UnitError, largest_exact, split, to_base};

/// From large to small; within one exponent the binary unit comes first, so
/// that a size is shown in it where both are exact.
const UNITS: &[Unit] = &[
    Unit::new("TiB", 1 << 40),
    Unit::new("TB", 1_000_000_000_000),
    Unit::new("GiB", 1 << 30),
    Unit::new("GB", 1_000_000_000),
    Unit::new("MiB", 1 << 20),
    Unit::new("MB", 1_000_000),
    Unit::new("KiB", 1 << 10),
    Unit::new("kB", 1_000),
    Unit::new("KB", 1_000),
    Unit::new("B", 1),
];

/// A number of bytes.
///
/// Written as a whole number and a unit with nothing between them: `100B`,
/// `512KiB`, `64MiB`, `1GB`. The units are `B`; `KiB`, `MiB`, `GiB`, `TiB`
/// (powers of 1024); `kB` or `KB`, `MB`, `GB`, `TB` (powers of 1000). A bare
/// number, a fraction and any other spelling are errors that say what to
/// write: one way to read each size, in every language that reads options.
///
/// What [`Display`](fmt::Display) shows parses to the same size.
///
/// ```
/// use stheno_config::ByteSize;
///
/// let size: ByteSize = "64MiB".parse()?;
/// assert_eq!(size, ByteSize::mib(64));
/// assert_eq!(size.to_string(), "64MiB");
/// assert!("64".parse::<ByteSize>().is_err());
/// # Ok::<(), stheno_config::UnitError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of `bytes` bytes.
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of `count` times 1024 bytes; the largest size there is when
    /// that is beyond it.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// A size of `count` times 1024² bytes; the largest size there is when
    /// that is beyond it.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// A size of `count` times 1024³ bytes; the largest size there is when
    /// that is beyond it.
    pub const fn gib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; `usize::MAX` where it does
    /// not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, UNITS, "MiB")?;
        u64::try_from(to_base(number, unit)?).map(Self).map_err(|_| UnitError::TooLarge)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&largest_exact(u128::from(self.0), UNITS, "B"))
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_documented_spelling_is_read() {
        for (text, bytes) in [
            ("0B", 0),
            ("100B", 100),
            ("512KiB", 512 * 1024),
            ("64MiB", 64 << 20),
            ("2GiB", 2 << 30),
            ("1TiB", 1 << 40),
            ("1kB", 1000),
            ("1KB", 1000),
            ("1MB", 1_000_000),
            ("1GB", 1_000_000_000),
            ("3TB", 3_000_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize::bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_told_what_to_write() {
        for (text, error, hint) in [
            ("", UnitError::Empty, None),
            ("64", UnitError::NoUnit { number: "64".into(), unit: "MiB" }, Some("64MiB")),
            ("MiB", UnitError::NoNumber, None),
            ("-1MiB", UnitError::NoNumber, None),
            ("1.5GiB", UnitError::Fraction, None),
            ("64mib", UnitError::OtherSpelling { number: "64".into(), unit: "MiB" }, Some("64MiB")),
            (
                "64 MiB",
                UnitError::OtherSpelling { number: "64".into(), unit: "MiB" },
                Some("64MiB"),
            ),
            (
                "64M",
                UnitError::UnknownUnit {
                    known: "TiB, TB, GiB, GB, MiB, MB, KiB, kB, KB, B".into(),
                },
                None,
            ),
            ("99999999TiB", UnitError::TooLarge, None),
            ("99999999999999999999999999999999999999999B", UnitError::TooLarge, None),
        ] {
            let got = text.parse::<ByteSize>().unwrap_err();
            assert_eq!(got, error, "{text}");
            assert_eq!(got.instead().as_deref(), hint, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_size_reads_back_as_itself(bytes: u64) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }

        #[test]
        fn a_round_size_reads_back_as_itself(count in 0u64..5000, unit in 0..UNITS.len()) {
            let text = format!("{count}{}", UNITS[unit].name);
            let size: ByteSize = text.parse().unwrap();
            prop_assert_eq!(u128::from(size.as_u64()), u128::from(count) * UNITS[unit].base);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_panics_the_size_parser(text: String) {
            let _ = text.parse::<ByteSize>();
        }
    }
}
