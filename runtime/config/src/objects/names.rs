//! What a bucket, a region and a prefix are.

use std::fmt;

use thiserror::Error;

/// The name of a bucket: 3 to 63 lower-case letters, digits, `.` and `-`, a
/// letter or digit at both ends, no `..`, and not an address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bucket(String);

/// A text is not a [`Bucket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it must have 3 to 63 lower-case letters, digits, `.` and `-`, a letter or digit at both ends, no `..`, and not be an address"
)]
pub struct BucketError;

impl Bucket {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// No bucket can have it.
    pub fn new(text: &str) -> Result<Self, BucketError> {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let lawful = |byte: u8| alphanumeric(byte) || matches!(byte, b'.' | b'-');
        let end = |byte: Option<u8>| byte.is_some_and(alphanumeric);
        let fits = (3..=63).contains(&text.len())
            && text.bytes().all(lawful)
            && end(text.bytes().next())
            && end(text.bytes().next_back())
            && !text.contains("..")
            && text.parse::<std::net::Ipv4Addr>().is_err();
        if fits { Ok(Self(text.to_owned())) } else { Err(BucketError) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A region, such as `eu-central-1`: 1 to 64 lower-case letters, digits and `-`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Region(String);

/// A text is not a [`Region`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it must have 1 to 64 lower-case letters, digits and `-`")]
pub struct RegionError;

impl Region {
    /// Takes a region. It is not checked that there is one of this name.
    ///
    /// # Errors
    ///
    /// No region can have the name.
    pub fn new(text: &str) -> Result<Self, RegionError> {
        let lawful = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(lawful) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RegionError)
        }
    }

    /// The region.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    /// `us-east-1`, which servers other than Amazon's take without asking.
    fn default() -> Self {
        Self("us-east-1".to_owned())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What every key of a binding begins with: steps of visible ASCII characters,
/// each closed by a `/`, at most 512 bytes; or nothing, which is the whole
/// bucket.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectsPrefix(String);

/// Why a text is not an [`ObjectsPrefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ObjectsPrefixError {
    /// It does not end in `/`, so a key could be taken for one of a neighbour.
    #[error("it does not end in `/`")]
    Open,
    /// A step is empty, `.` or `..`.
    #[error("it begins with `/`, or has an empty step or a step `.` or `..`")]
    Steps,
    /// It has other characters, or too many.
    #[error("it must have at most 512 letters, digits and `! - _ . * ' ( ) = @ + : /`")]
    Characters,
}

impl ObjectsPrefix {
    /// Takes a prefix.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn new(text: &str) -> Result<Self, ObjectsPrefixError> {
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()=@+:/".contains(&byte);
        if text.len() > 512 || !text.bytes().all(lawful) {
            return Err(ObjectsPrefixError::Characters);
        }
        if text.is_empty() {
            return Ok(Self(String::new()));
        }
        let steps = text.strip_suffix('/').ok_or(ObjectsPrefixError::Open)?;
        if steps.split('/').any(|step| matches!(step, "" | "." | "..")) {
            return Err(ObjectsPrefixError::Steps);
        }
        Ok(Self(text.to_owned()))
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ObjectsPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_name_that_is_a_host_and_no_address() {
        for good in ["abc", "shop-files", "a.b-c.1", &"a".repeat(63)] {
            assert_eq!(Bucket::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(64);
        for bad in
            ["", "ab", "Shop", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "1.2.3.4", "a/b", &long]
        {
            assert_eq!(Bucket::new(bad), Err(BucketError), "{bad:?}");
        }
    }

    #[test]
    fn a_region_cannot_be_anything_but_a_label() {
        assert!(Region::new("eu-central-1").is_ok() && Region::new("auto").is_ok());
        for bad in ["", "EU", "a b", "a/b", "a\n", &"a".repeat(65)] {
            assert_eq!(Region::new(bad), Err(RegionError), "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_is_whole_steps() {
        for good in ["", "shop/", "shop/files/", "a.b/..c/"] {
            assert_eq!(ObjectsPrefix::new(good).unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("shop", ObjectsPrefixError::Open),
            ("/", ObjectsPrefixError::Steps),
            ("/shop/", ObjectsPrefixError::Steps),
            ("a//b/", ObjectsPrefixError::Steps),
            ("a/../b/", ObjectsPrefixError::Steps),
            ("./", ObjectsPrefixError::Steps),
            ("a b/", ObjectsPrefixError::Characters),
            ("a%2f/", ObjectsPrefixError::Characters),
            ("ü/", ObjectsPrefixError::Characters),
            ("a\\/", ObjectsPrefixError::Characters),
        ] {
            assert_eq!(ObjectsPrefix::new(bad), Err(error), "{bad:?}");
        }
        assert!(ObjectsPrefix::new(&format!("{}/", "a".repeat(512))).is_err());
    }
}
