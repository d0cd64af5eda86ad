//! What stands where on the server, below the prefix of the options:
//!
//! | key | what |
//! |---|---|
//! | `v:NAME` | an entry |
//! | `p:ID.N` | a part of a value that is too large for one item |
//! | `t:NAME` | which lists of a tag hold |
//! | `l:ID` | a list: names of entries with a tag |
//!
//! A name is made of a key of the cache, or of a tag, by SHA-256. Those have up to
//! 1,024 bytes of any characters, and a key of Memcached has 250 with neither spaces
//! nor line ends: with the protocol's own flag for such keys (`b`) it would be 250
//! bytes still. So nothing that a caller writes is ever part of a command. An entry
//! carries its whole key, which is compared when it is read.
//!
//! An id is 128 bits at random: nothing has to be remembered for it to be new, and
//! what was evicted cannot make it come again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};

/// Longer than that a prefix is not: with what stands below it a key keeps within
/// the 250 bytes of Memcached.
pub(crate) const MAX_PREFIX: usize = 128;

/// The first 192 bits of a hash: 32 characters in a key, and two of them are not
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(pub(crate) [u8; Self::BYTES]);

impl Name {
    pub(crate) const BYTES: usize = 24;

    /// That of a key of the cache, or of a tag.
    pub(crate) fn of(text: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut name = [0; Self::BYTES];
        name.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(name)
    }
}

/// What is made once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) [u8; Self::BYTES]);

impl Id {
    pub(crate) const BYTES: usize = 16;

    /// Of two random numbers.
    pub(crate) fn new(high: u64, low: u64) -> Self {
        Self(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }
}

/// A key of the server. Only [`Keys`] makes one, so each may stand in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes keys below a prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    /// None if no key can begin so: a prefix is visible ASCII, and not too long.
    pub(crate) fn below(prefix: &str) -> Option<Self> {
        let fits = prefix.len() <= MAX_PREFIX && prefix.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self { prefix: prefix.to_owned() })
    }

    pub(crate) fn entry(&self, name: &Name) -> Key {
        self.key("v", &name.0, "")
    }

    pub(crate) fn part(&self, id: &Id, number: usize) -> Key {
        self.key("p", &id.0, &format!(".{number}"))
    }

    pub(crate) fn tag(&self, name: &Name) -> Key {
        self.key("t", &name.0, "")
    }

    pub(crate) fn list(&self, id: &Id) -> Key {
        self.key("l", &id.0, "")
    }

    fn key(&self, kind: &str, bytes: &[u8], rest: &str) -> Key {
        let Self { prefix } = self;
        Key(format!("{prefix}{kind}:{}{rest}", BASE64.encode(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_one_word_that_memcached_takes_whatever_it_is_made_of(
            prefix in "[!-~]{0,128}",
            text in "\\PC{1,40}|[\\x00-\\x20]{1,40}",
            number in 0..100_usize,
        ) {
            let keys = Keys::below(&prefix).unwrap();
            let (name, id) = (Name::of(&text), Id::new(1, 2));
            for key in [keys.entry(&name), keys.tag(&name), keys.list(&id), keys.part(&id, number)] {
                prop_assert!(key.as_str().len() <= 250);
                prop_assert!(key.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(key.as_str().starts_with(&prefix));
            }
        }
    }

    #[test]
    fn a_name_is_the_beginning_of_the_hash_and_each_kind_has_its_own_keys() {
        let keys = Keys::below("shop:").unwrap();
        // printf abc | sha256sum | head -c 48 | xxd -r -p | basenc --base64url
        let name = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qc";
        assert_eq!(keys.entry(&Name::of("abc")).as_str(), format!("shop:v:{name}"));
        assert_eq!(keys.tag(&Name::of("abc")).as_str(), format!("shop:t:{name}"));
        let id = Id::new(u64::MAX, 0);
        assert_eq!(keys.list(&id).as_str(), "shop:l:__________8AAAAAAAAAAA");
        assert_eq!(keys.part(&id, 12).as_str(), "shop:p:__________8AAAAAAAAAAA.12");
    }

    #[test]
    fn a_prefix_that_would_end_a_command_is_none() {
        for prefix in ["a b", "a\r\n", "\0", "é", &"p".repeat(MAX_PREFIX + 1)] {
            assert!(Keys::below(prefix).is_none(), "{prefix:?}");
        }
        assert!(Keys::below("").is_some());
    }
}
