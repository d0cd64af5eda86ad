//! What stands where, below the prefix of the binding.
//!
//! - `v:KEY`: an entry, a string.
//! - `k:`: the names of all entries, a sorted set by the moment at which each ends.
//! - `t:TAG`: the same of those that carry a tag.

/// The index of all entries. As long as what stands before the name in the key of
/// an entry: `sweep.lua` relies on it.
pub(crate) const ALL: &str = "k:";

/// The key of an entry.
pub(crate) fn entry(name: &[u8]) -> Vec<u8> {
    [b"v:", name].concat()
}

/// The key of an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Index {
    /// Of all entries.
    All,
    /// Of those with a tag.
    Tag(String),
}

impl Index {
    pub(crate) fn key(&self) -> Vec<u8> {
        match self {
            Self::All => ALL.into(),
            Self::Tag(tag) => [b"t:", tag.as_bytes()].concat(),
        }
    }
}

/// What names begin with that fit a glob, as a pattern of Redis; none if they may
/// begin with anything. The server leaves out what does not fit, and only that:
/// with more stars its patterns can take very long.
pub(crate) fn beginning(glob: &str) -> Option<Vec<u8>> {
    let beginning = glob.split('*').next().filter(|beginning| !beginning.is_empty())?;
    let mut pattern = Vec::with_capacity(beginning.len() + 1);
    for byte in beginning.bytes() {
        if b"?[]^-\\".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_star_at_the_end_of_a_beginning_means_more_than_itself() {
        assert_eq!(beginning("*a"), None);
        assert_eq!(beginning("product:*:*").unwrap(), b"product:*");
        assert_eq!(beginning("a?[b]\\*").unwrap(), b"a\\?\\[b\\]\\\\*");
    }

    #[test]
    fn a_name_begins_where_the_key_of_the_index_ends() {
        assert_eq!(entry(b"name").get(ALL.len()..), Some(&b"name"[..]));
        assert_eq!(Index::All.key(), ALL.as_bytes());
    }
}
