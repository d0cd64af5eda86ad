//! Names on their way to the database and back.

/// A key as the database has it. A text there has no NUL, so that is written as
/// two characters that are, and so is what begins those; the order by bytes stays.
pub(crate) fn stored(key: &str) -> String {
    if !key.contains(['\0', '\u{1}']) {
        return key.to_owned();
    }
    let mut text = String::with_capacity(key.len() + 8);
    for character in key.chars() {
        match character {
            '\0' => text.push_str("\u{1}\u{1}"),
            '\u{1}' => text.push_str("\u{1}\u{2}"),
            other => text.push(other),
        }
    }
    text
}

/// The key that is stored so.
pub(crate) fn given(text: String) -> String {
    if !text.contains('\u{1}') {
        return text;
    }
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1}' => {
                key.push(if characters.next() == Some('\u{1}') { '\0' } else { '\u{1}' });
            }
            other => key.push(other),
        }
    }
    key
}

/// What a lease is found by, and how many keys it has while it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) lease: i64,
    pub(crate) size: i64,
}

impl Token {
    pub(crate) fn text(self) -> String {
        format!("{}.{}", self.lease, self.size)
    }

    /// None for what no lease is called.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (lease, size) = text.split_once('.')?;
        let token = Self { lease: lease.parse().ok()?, size: size.parse().ok()? };
        // One lease has one name.
        (token.text() == text && (1..=64).contains(&token.size)).then_some(token)
    }
}

/// The ticket of this name, if one can be called so.
pub(crate) fn ticket(text: &str) -> Option<i64> {
    text.parse().ok().filter(|ticket: &i64| ticket.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_comes_back_and_keeps_its_place(
            one in "[\u{0}-\u{3}a\u{e9}]{0,8}",
            other in "[\u{0}-\u{3}a\u{e9}]{0,8}",
        ) {
            prop_assert!(!stored(&one).contains('\0'));
            prop_assert_eq!(given(stored(&one)), &*one);
            prop_assert_eq!(
                stored(&one).as_bytes().cmp(stored(&other).as_bytes()),
                one.as_bytes().cmp(other.as_bytes())
            );
        }

        #[test]
        fn a_token_is_read_as_it_was_written_and_in_no_other_way(
            lease in 0..i64::MAX,
            size in 1..=64_i64,
            other in ".{0,24}",
        ) {
            let token = Token { lease, size };
            prop_assert_eq!(Token::read(&token.text()), Some(token));
            if let Some(token) = Token::read(&other) {
                prop_assert_eq!(token.text(), other);
            }
        }
    }

    #[test]
    fn one_lease_has_one_name() {
        for text in ["", ".", "1", "1.", ".1", "01.1", "+1.1", "1.0", "1.65", "1.1.1", "1.1 "] {
            assert_eq!(Token::read(text), None, "{text:?}");
        }
        assert_eq!((ticket("7"), ticket("07"), ticket("seven")), (Some(7), None, None));
    }
}
