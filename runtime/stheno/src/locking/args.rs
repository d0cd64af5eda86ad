//! What may be locked, and by whom: the limits of the contract, checked once,
//! here.

use std::time::Duration;

use crate::Error;
use crate::events::args;

pub(super) use crate::events::args::{MAX_ITEMS, at_most};

/// The longest key, in bytes.
pub const MAX_LOCK_KEY_BYTES: usize = 1_024;
/// The most keys in one lease.
pub const MAX_LOCK_KEYS: usize = 64;

pub(super) fn key(argument: &str, key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::invalid(format!("{argument} is empty"))),
        1..=MAX_LOCK_KEY_BYTES => Ok(()),
        bytes => Err(Error::invalid(format!(
            "{argument} has {bytes} bytes, at most {MAX_LOCK_KEY_BYTES} are allowed"
        ))),
    }
}

/// The keys of one lease, in the one order in which all are taken, each once.
pub(super) fn lease_keys<K: Into<String>>(
    keys: impl IntoIterator<Item = K>,
) -> Result<Vec<String>, Error> {
    let mut keys: Vec<String> = keys.into_iter().take(MAX_LOCK_KEYS + 1).map(K::into).collect();
    match keys.len() {
        0 => return Err(Error::invalid("keys is empty, name at least one")),
        1..=MAX_LOCK_KEYS => {}
        _ => {
            return Err(Error::invalid(format!(
                "keys has more than {MAX_LOCK_KEYS} items; lock what they belong to instead"
            )));
        }
    }
    for one in &keys {
        key("key", one)?;
    }
    if keys.len() > 1 {
        keys.sort_unstable();
        keys.dedup();
    }
    Ok(keys)
}

/// Keys to be looked at, in their order.
pub(super) fn many_keys<K: Into<String>>(
    keys: impl IntoIterator<Item = K>,
) -> Result<Vec<String>, Error> {
    let keys: Vec<String> = keys.into_iter().take(MAX_ITEMS + 1).map(K::into).collect();
    at_most("keys", keys.len())?;
    keys.iter().try_for_each(|one| key("key", one))?;
    Ok(keys)
}

pub(super) fn owner(owner: Option<&str>) -> Result<Option<String>, Error> {
    owner.map(|owner| args::name("owner", owner)).transpose()
}

pub(super) fn ttl(ttl: Option<Duration>) -> Result<Option<u64>, Error> {
    ttl.map(|ttl| args::at_least_a_moment("ttl", ttl)).transpose()
}

/// A token or what a page begins after: given by the provider, so only its
/// length is looked at.
pub(super) fn given(argument: &str, text: &str) -> Result<String, Error> {
    const MAX_BYTES: usize = 4 * 1_024;
    match text.len() {
        0 => Err(Error::invalid(format!("{argument} is empty"))),
        1..=MAX_BYTES => Ok(text.to_owned()),
        bytes => Err(Error::invalid(format!(
            "{argument} has {bytes} bytes, no lease is called so; give what `acquire` gave"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_one_order_and_once() {
        assert_eq!(lease_keys(["b", "a", "b"]).unwrap(), ["a", "b"]);
        let many = || (0..).map(|n: u64| n.to_string());
        assert_eq!(lease_keys(many().take(MAX_LOCK_KEYS)).unwrap().len(), MAX_LOCK_KEYS);
        // It does not look further than it must.
        assert!(lease_keys(many()).is_err());
        assert!(many_keys(many()).is_err());
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        let longest = "k".repeat(MAX_LOCK_KEY_BYTES);
        assert!(lease_keys([longest.clone()]).is_ok());
        for (error, argument) in [
            (lease_keys([longest + "k"]).unwrap_err(), "key"),
            (lease_keys(["a", ""]).unwrap_err(), "key"),
            (lease_keys([""; 0]).unwrap_err(), "keys"),
            (owner(Some("")).unwrap_err(), "owner"),
            (owner(Some("a\n")).unwrap_err(), "owner"),
            (ttl(Some(Duration::ZERO)).unwrap_err(), "ttl"),
            (given("token", "").unwrap_err(), "token"),
            (given("token", &"t".repeat(5_000)).unwrap_err(), "token"),
        ] {
            assert!(error.message().starts_with(argument), "{error}");
        }
    }
}
