//! How leases and places in the queue are named towards the host.

/// A lease: where it is, and its fence, which tells it from whatever was or
/// will be there at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) slot: usize,
    pub(super) fence: u64,
}

impl Token {
    pub(super) fn text(self) -> String {
        let mut text = String::with_capacity(24);
        hex(&mut text, self.slot as u64);
        text.push('.');
        hex(&mut text, self.fence);
        text
    }

    /// None for what no lease was ever called.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (slot, fence) = pair(text)?;
        Some(Self { slot: usize::try_from(slot).ok()?, fence })
    }
}

/// A ticket. Numbers begin anew in each instance, so they carry its seed: one
/// from before a restart must not be taken for one from after it.
pub(super) fn ticket_text(seed: u64, number: u64) -> String {
    let mut text = String::with_capacity(24);
    hex(&mut text, seed);
    text.push('.');
    hex(&mut text, number);
    text
}

/// The number of a ticket of this instance.
pub(super) fn ticket_read(seed: u64, text: &str) -> Option<u64> {
    pair(text).filter(|(from, _)| *from == seed).map(|(_, number)| number)
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (left, right) = text.split_once('.')?;
    Some((unhex(left)?, unhex(right)?))
}

/// Appends a number as `{:x}` does, at a quarter of the cost.
fn hex(text: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for at in (0..digits).rev() {
        let digit = (number >> (at * 4)) & 0xf;
        text.push(char::from_digit(digit as u32, 16).unwrap_or('0'));
    }
}

/// Reads what [`hex`] wrote and nothing else, so that each lease has one name.
fn unhex(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 16 || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.bytes().try_fold(0_u64, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(slot: u32, fence: u64, seed: u64) {
            let token = Token { slot: slot as usize, fence };
            prop_assert_eq!(token.text(), format!("{slot:x}.{fence:x}"));
            prop_assert_eq!(Token::read(&token.text()), Some(token));
            let ticket = ticket_text(seed, fence);
            prop_assert_eq!(ticket_read(seed, &ticket), Some(fence));
            prop_assert_eq!(ticket_read(seed ^ 1, &ticket), None);
        }

        #[test]
        fn every_token_has_one_spelling(text in "[0-9a-fA-F.+ ]{0,20}|\\PC{0,8}") {
            if let Some(token) = Token::read(&text) {
                prop_assert_eq!(token.text(), text);
            }
        }
    }
}
