//! Names for runs and leases: numbers in hex.
//!
//! All count up from one origin, which holds the time of the start and some
//! chance: a name from before a restart is never taken for a new one, and runs
//! sort in the order of their starts. Where there is a store it knows the origins
//! there were, so that this holds although the clock goes back.

/// Where an instance begins to count.
pub(super) fn origin(unix_ms: u64, random: u64) -> u64 {
    // 2^20 names each millisecond, for the next 550 years.
    (unix_ms << 20) | (random & 0xF_FFFF)
}

/// Where an instance begins to count after one that began at `before`, which
/// has not come so far.
pub(super) fn next_origin(origin: u64, before: u64) -> u64 {
    origin.max(before.saturating_add(1 << 40))
}

fn push_hex(text: &mut String, n: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (64 - (n | 1).leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        let value = (n >> (digit * 4)) & 0xF;
        if let Some(&c) = DIGITS.get(value as usize) {
            text.push(char::from(c));
        }
    }
}

/// Reads what `push_hex` writes and nothing else: one number, one spelling.
fn parse_hex(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 16 || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.bytes().try_fold(0, |n, c| {
        let value = match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            _ => return None,
        };
        Some((n << 4) | u64::from(value))
    })
}

/// A run that nobody named, or a place in the list of runs.
pub(super) fn name(number: u64) -> String {
    let mut text = String::with_capacity(16);
    push_hex(&mut text, number);
    text
}

/// The number that a name stands for.
pub(super) fn parse_name(text: &str) -> Option<u64> {
    parse_hex(text)
}

/// A lease: where it is kept, and its number, which is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) slot: usize,
    pub(super) number: u64,
}

impl Token {
    pub(super) fn to_text(self) -> String {
        let mut text = String::with_capacity(24);
        push_hex(&mut text, self.slot as u64);
        text.push('.');
        push_hex(&mut text, self.number);
        text
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (slot, number) = text.split_once('.')?;
        Some(Self { slot: usize::try_from(parse_hex(slot)?).ok()?, number: parse_hex(number)? })
    }
}

/// SplitMix64: chance for spreading retries, not for secrets.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to `max`, both included.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // The high half of the product: spread evenly but for a hair.
        ((u128::from(z) * (u128::from(max) + 1)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Chance, Token, name, parse_name};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_means_its_number_and_no_other_spelling_does(n: u64, slot in 0usize..1 << 30) {
            let text = name(n);
            prop_assert_eq!(parse_name(&text), Some(n));
            prop_assert_eq!(parse_name(&format!("0{text}")), None);
            let token = Token { slot, number: n };
            prop_assert_eq!(Token::parse(&token.to_text()), Some(token));
        }

        #[test]
        fn chance_stays_within_its_bound(seed: u64, max: u64) {
            prop_assert!(Chance::new(seed).up_to(max) <= max);
        }
    }
}
