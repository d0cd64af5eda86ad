//! What part of a body a range means.

use stheno_sdk::files::{Range, Span};
use stheno_sdk::{Error, Result};

/// Offset and length of the part of a body of `size` bytes; all of it without a
/// range. A part that reaches beyond the end ends there.
pub(crate) fn within(range: Option<Range>, size: u64) -> Result<(u64, u64)> {
    let none = |what: String| Err(Error::InvalidArgument(format!("range: {what}")));
    match range {
        None => Ok((0, size)),
        Some(Range::Span(Span { length: Some(0), .. }) | Range::Last(0)) => {
            none("it has no byte, must have at least one".to_owned())
        }
        Some(Range::Span(Span { offset, .. })) if offset >= size => {
            none(format!("it begins at {offset} and the file has {size} bytes"))
        }
        Some(Range::Span(Span { offset, length })) => {
            let rest = size - offset;
            Ok((offset, length.map_or(rest, |length| length.min(rest))))
        }
        Some(Range::Last(_)) if size == 0 => none("the file has 0 bytes".to_owned()),
        Some(Range::Last(length)) => {
            let length = length.min(size);
            Ok((size - length, length))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges() -> impl Strategy<Value = u64> {
        prop_oneof![0..12_u64, any::<u64>(), Just(u64::MAX)]
    }

    proptest! {
        #[test]
        fn a_part_is_what_slicing_gives(size in 0..10_u64, offset in edges(), length in proptest::option::of(edges()), last: bool) {
            let body: Vec<u64> = (0..size).collect();
            let (range, expected) = if last {
                let skipped = size.saturating_sub(offset);
                (Range::Last(offset), body.iter().copied().skip(skipped as usize).collect::<Vec<_>>())
            } else {
                let taken = usize::try_from(length.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = body.iter().copied().skip(from).take(taken).collect();
                (Range::Span(Span { offset, length }), part)
            };
            match within(Some(range), size) {
                Ok((offset, length)) => {
                    let part: Vec<u64> = (offset..offset + length).collect();
                    prop_assert!(!part.is_empty());
                    prop_assert_eq!(part, expected);
                }
                Err(_) => prop_assert!(expected.is_empty()),
            }
        }
    }

    #[test]
    fn without_a_range_it_is_all_of_it_even_if_that_is_nothing() {
        assert_eq!(within(None, 0).unwrap(), (0, 0));
        assert_eq!(within(None, 7).unwrap(), (0, 7));
    }
}
