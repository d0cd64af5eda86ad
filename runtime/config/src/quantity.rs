//! A whole number and a unit: what sizes and durations have in common.

use thiserror::Error;

/// One unit: its spelling and how many base units it is.
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) base: u128,
}

impl Unit {
    pub(crate) const fn new(name: &'static str, base: u128) -> Self {
        Self { name, base }
    }
}

/// Why a text is not a size or not a duration.
///
/// The message holds nothing of the text itself, so it can be shown where
/// the text came from a variable; [`UnitError::instead`] does.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// There is nothing to read.
    #[error("it is empty")]
    Empty,
    /// It does not begin with a digit.
    #[error("it does not begin with a whole number")]
    NoNumber,
    /// A number alone.
    #[error("it has no unit")]
    NoUnit {
        /// The digits that were read.
        number: String,
        /// The unit that is most often meant.
        unit: &'static str,
    },
    /// A number with a point or a comma.
    #[error("it is a fraction; take a smaller unit and a whole number")]
    Fraction,
    /// Several numbers with a unit each.
    #[error("it has several parts; take the smaller unit for the whole")]
    Several,
    /// A known unit in other letters, or with a space before it.
    #[error("its unit is spelled another way")]
    OtherSpelling {
        /// The digits that were read.
        number: String,
        /// The unit as it must be spelled.
        unit: &'static str,
    },
    /// No such unit.
    #[error("its unit is not one of {known}")]
    UnknownUnit {
        /// The units there are.
        known: String,
    },
    /// More than can be counted.
    #[error("it is too large")]
    TooLarge,
}

impl UnitError {
    /// What was probably meant, where that is plain.
    pub fn instead(&self) -> Option<String> {
        match self {
            Self::NoUnit { number, unit } | Self::OtherSpelling { number, unit } => {
                Some(format!("{number}{unit}"))
            }
            _ => None,
        }
    }
}

/// Cuts `text` into its number and its unit. `usual` is the unit to suggest
/// where there is none.
pub(crate) fn split<'t>(
    text: &'t str,
    units: &'static [Unit],
    usual: &'static str,
) -> Result<(&'t str, &'static Unit), UnitError> {
    if text.is_empty() {
        return Err(UnitError::Empty);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, name) = text.split_at(end);
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    if let Some(unit) = units.iter().find(|unit| unit.name == name) {
        return Ok((number, unit));
    }
    if name.is_empty() {
        return Err(UnitError::NoUnit { number: number.to_owned(), unit: usual });
    }
    if name.starts_with(['.', ',', '_']) {
        return Err(UnitError::Fraction);
    }
    if name.contains(|c: char| c.is_ascii_digit()) {
        return Err(UnitError::Several);
    }
    match units.iter().find(|unit| unit.name.eq_ignore_ascii_case(name.trim())) {
        Some(unit) => Err(UnitError::OtherSpelling { number: number.to_owned(), unit: unit.name }),
        None => Err(UnitError::UnknownUnit {
            known: units.iter().map(|unit| unit.name).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// The quantity in base units.
pub(crate) fn to_base(number: &str, unit: &Unit) -> Result<u128, UnitError> {
    // Digits only, so the one way to fail is to be too large.
    let number: u128 = number.parse().map_err(|_| UnitError::TooLarge)?;
    number.checked_mul(unit.base).ok_or(UnitError::TooLarge)
}

/// `base` in the largest unit that shows it exactly; nothing is shown in
/// `zero`.
pub(crate) fn largest_exact(base: u128, units: &[Unit], zero: &str) -> String {
    units.iter().find(|unit| base != 0 && base.is_multiple_of(unit.base)).map_or_else(
        || format!("{base}{zero}"),
        |unit| format!("{}{}", base / unit.base, unit.name),
    )
}
