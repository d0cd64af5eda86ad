//! What part of a body is asked of the server.

use stheno_sdk::files::Range;
use stheno_sdk::objects;

/// More than any object has, and within what every server can count to.
const MOST: u64 = 1 << 60;

/// The same part, in numbers that every server takes. Where none of it can be in
/// any object, none of it is in what is asked for either.
pub(crate) fn asked(range: Range) -> objects::Range {
    match range {
        Range::Last(length) => objects::Range::Last(length.min(MOST)),
        Range::Span(span) => {
            let offset = span.offset.min(MOST);
            let length = span.length.filter(|&length| length <= MOST - offset);
            objects::Range::Span(objects::Span { offset, length })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stheno_sdk::files::Span;

    use super::*;

    /// What a part is of a body of `size` bytes.
    fn part(range: (Option<u64>, Option<u64>), size: u64) -> (u64, u64) {
        match range {
            (None, length) => (size - length.unwrap_or(0).min(size), size),
            (Some(offset), length) => {
                let offset = offset.min(size);
                (offset, length.map_or(size, |length| offset.saturating_add(length).min(size)))
            }
        }
    }

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![0..100_u64, any::<u64>(), Just(u64::MAX), Just(MOST), Just(1 << 63)]
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_the_same_part_of_any_object(
            size in 0..50_u64, offset in numbers(), length in proptest::option::of(numbers()), last: bool
        ) {
            let (range, meant) = if last {
                (Range::Last(offset), part((None, Some(offset)), size))
            } else {
                (Range::Span(Span { offset, length }), part((Some(offset), length), size))
            };
            let (found, numbers) = match asked(range) {
                objects::Range::Last(length) => (part((None, Some(length)), size), vec![length]),
                objects::Range::Span(span) => {
                    let end = span.length.map_or(0, |length| span.offset + length);
                    (part((Some(span.offset), span.length), size), vec![span.offset, end])
                }
            };
            prop_assert_eq!(found, meant);
            prop_assert!(numbers.into_iter().all(|number| i64::try_from(number).is_ok()));
        }
    }
}
