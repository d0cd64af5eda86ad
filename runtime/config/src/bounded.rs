//! Values that lie in a range: every limit is a type of its own, and a value
//! of that type has been checked.

use std::time::Duration;

use thiserror::Error;
use toml::de::DeValue;

use crate::decode::{Decoder, Node, Section, Why};
use crate::{ByteSize, UnitError, format_duration, parse_duration};

/// A value lies outside the range of its limit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{key}` must lie between {min} and {max}")]
pub struct OutOfRange {
    /// The key in `stheno.toml`.
    pub key: &'static str,
    /// The least value.
    pub min: String,
    /// The greatest value.
    pub max: String,
}

/// What a limit counts in.
pub(crate) trait Quantity: Copy + Ord {
    /// As `stheno.toml` has it, quotes included.
    fn written(self) -> String;
    /// As a sentence has it.
    fn shown(self) -> String {
        self.written().replace('"', "")
    }
    /// `None`: a fault was reported. `Some(None)`: it is too large or too
    /// small to count at all.
    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>, example: &str) -> Option<Option<Self>>;
}

/// A newtype made by [`bounded!`].
pub(crate) trait Bounded: Copy {
    type Value: Quantity;
    const KEY: &'static str;
    const DEFAULT: Self;
    const MIN: Self::Value;
    const MAX: Self::Value;
    fn checked(value: Self::Value) -> Option<Self>;
    fn value(self) -> Self::Value;

    fn out_of_range() -> OutOfRange {
        OutOfRange { key: Self::KEY, min: Self::MIN.shown(), max: Self::MAX.shown() }
    }
}

/// The value of `B`'s key in `section`, or its default.
pub(crate) fn decode<B: Bounded>(decoder: &mut Decoder<'_>, section: &Section<'_>) -> B {
    let Some(node) = section.get(B::KEY) else {
        return B::DEFAULT;
    };
    let example = format!("{} = {}", B::KEY, B::DEFAULT.value().written());
    let Some(value) = B::Value::decode(decoder, &node, &example) else {
        return B::DEFAULT;
    };
    value.and_then(B::checked).unwrap_or_else(|| {
        decoder.fault(
            &node,
            B::out_of_range().to_string(),
            format!("write a value in that range, such as {example} (the default)"),
        );
        B::DEFAULT
    })
}

fn unit_error(error: UnitError) -> Option<Why> {
    match error {
        UnitError::TooLarge => None,
        error => Some(Why { instead: error.instead(), ..Why::reason(error) }),
    }
}

/// Turns the result of a unit parser into what [`Quantity::decode`] returns.
fn in_units<T>(result: Result<T, UnitError>) -> Result<Option<T>, Why> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => unit_error(error).map_or(Ok(None), Err),
    }
}

impl Quantity for ByteSize {
    fn written(self) -> String {
        format!("\"{self}\"")
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>, example: &str) -> Option<Option<Self>> {
        decoder.parsed(node, "a size", example, |text| in_units(text.parse()))
    }
}

impl Quantity for Duration {
    fn written(self) -> String {
        format!("\"{}\"", format_duration(self))
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>, example: &str) -> Option<Option<Self>> {
        decoder.parsed(node, "a duration", example, |text| in_units(parse_duration(text)))
    }
}

impl Quantity for u32 {
    fn written(self) -> String {
        self.to_string()
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>, example: &str) -> Option<Option<Self>> {
        match node.value {
            DeValue::Integer(integer) => {
                Some(Self::from_str_radix(integer.as_str(), integer.radix()).ok())
            }
            // A variable can only stand in a string, so a string that has one
            // may give a number.
            DeValue::String(raw) if raw.contains("${") => {
                decoder.parsed(node, "a whole number", example, |text| {
                    text.parse()
                        .map(Some)
                        .map_err(|_| Why::reason("it does not count from 0 in digits alone"))
                })
            }
            _ => {
                decoder.wrong_type(node, "a whole number", example);
                None
            }
        }
    }
}

/// Makes a newtype with a key, a default and a range.
macro_rules! bounded {
    (
        $(#[$doc:meta])*
        $name:ident($value:ty), key $key:expr, default $default:expr, from $min:expr, to $max:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($value);

        impl $name {
            /// The key in `stheno.toml`.
            pub const KEY: &'static str = $key;
            /// What holds where the key is not written.
            pub const DEFAULT: Self = Self($default);
            /// The least value.
            pub const MIN: Self = Self($min);
            /// The greatest value.
            pub const MAX: Self = Self($max);

            /// Checks a value.
            ///
            /// # Errors
            ///
            /// It is less than [`Self::MIN`] or more than [`Self::MAX`].
            pub fn new(value: $value) -> Result<Self, $crate::OutOfRange> {
                $crate::bounded::Bounded::checked(value)
                    .ok_or_else(<Self as $crate::bounded::Bounded>::out_of_range)
            }

            /// The value.
            pub const fn get(self) -> $value {
                self.0
            }
        }

        impl $crate::bounded::Bounded for $name {
            type Value = $value;
            const KEY: &'static str = $key;
            const DEFAULT: Self = Self::DEFAULT;
            const MIN: $value = $min;
            const MAX: $value = $max;

            fn checked(value: $value) -> Option<Self> {
                ($min..=$max).contains(&value).then_some(Self(value))
            }

            fn value(self) -> $value {
                self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::DEFAULT
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&$crate::bounded::Quantity::shown(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use bounded;
