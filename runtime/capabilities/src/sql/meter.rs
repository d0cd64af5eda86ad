//! How large the messages are that the server sends.
//!
//! A value can have a gigabyte, and the client holds a row as a whole. Its length
//! stands at its beginning.

use crate::metered::{self, TooLarge};

/// What a message may have beside a row: the names of its columns, the text of an
/// error.
const BESIDE: u64 = 64 << 10;

/// Where in the stream of messages one is.
pub(super) struct Meter {
    max: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// At the kind of a message.
    Kind,
    /// Within its length, of which this much has come.
    Length { bytes: u8, value: u32 },
    /// Within the rest.
    Body { left: u64 },
}

impl Meter {
    /// For rows of at most so many bytes.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max: max_bytes.saturating_add(BESIDE), state: State::Kind }
    }
}

impl metered::Meter for Meter {
    fn see(&mut self, mut new: &[u8]) -> Result<(), TooLarge> {
        while let Some((&byte, rest)) = new.split_first() {
            match self.state {
                State::Kind => {
                    self.state = State::Length { bytes: 0, value: 0 };
                    new = rest;
                }
                State::Length { bytes, value } => {
                    let value = (value << 8) | u32::from(byte);
                    new = rest;
                    if bytes < 3 {
                        self.state = State::Length { bytes: bytes + 1, value };
                        continue;
                    }
                    // The length counts itself.
                    let left = u64::from(value).saturating_sub(4);
                    if left > self.max {
                        return Err(TooLarge);
                    }
                    self.state = if left == 0 { State::Kind } else { State::Body { left } };
                }
                State::Body { left } => {
                    let taken = left.min(new.len() as u64);
                    let left = left - taken;
                    self.state = if left == 0 { State::Kind } else { State::Body { left } };
                    new = new.get(taken as usize..).unwrap_or_default();
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metered::Meter as _;

    fn message(length: usize) -> Vec<u8> {
        let mut message = vec![b'D'];
        message.extend((length as u32 + 4).to_be_bytes());
        message.extend(vec![0; length]);
        message
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            lengths in proptest::collection::vec(0_usize..300, 1..20),
            cuts in proptest::collection::vec(1_usize..50, 1..50),
            max in 0_u64..300,
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|&length| message(length)).collect();
            let largest = lengths.iter().copied().max().unwrap() as u64;
            let mut meter = Meter { max, state: State::Kind };
            let (mut rest, mut passed, mut cuts) = (bytes.as_slice(), true, cuts.iter().cycle());
            while !rest.is_empty() && passed {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                passed = meter.see(&rest[..cut]).is_ok();
                rest = &rest[cut..];
            }
            prop_assert_eq!(passed, largest <= max);
        }

        #[test]
        fn no_bytes_panic_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Meter::new(50).see(&bytes);
        }
    }
}
