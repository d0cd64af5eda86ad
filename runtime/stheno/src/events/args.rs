//! What may be published and subscribed to: the limits of the contract, checked
//! once, here.

use std::time::Duration;

use stheno_contracts::events as contract;

use crate::{Error, ErrorKind};

/// The longest name, pattern or id, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// The largest event body.
pub const MAX_DATA_BYTES: usize = 1024 * 1024;
const MAX_METADATA_PAIRS: usize = 64;
const MAX_METADATA_BYTES: usize = 4 * 1024;
/// The most events, tokens or ids in one call.
pub(crate) const MAX_ITEMS: usize = 1_000;
const LAST_PRIORITY: u32 = 2_097_152;

/// Whole milliseconds, rounded up.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

pub(crate) fn name(argument: &str, text: &str) -> Result<String, Error> {
    let wrong = |what: String| Err(Error::invalid(format!("{argument} {what}")));
    match text.len() {
        0 => wrong("is empty".into()),
        1..=MAX_NAME_BYTES if text.chars().any(char::is_control) => {
            wrong("has a control character".into())
        }
        1..=MAX_NAME_BYTES => Ok(text.to_owned()),
        bytes => wrong(format!("has {bytes} bytes, at most {MAX_NAME_BYTES} are allowed")),
    }
}

pub(crate) fn at_most(argument: &str, items: usize) -> Result<(), Error> {
    if items > MAX_ITEMS {
        return Err(Error::invalid(format!(
            "{argument} has {items} items, at most {MAX_ITEMS} in one call are allowed"
        )));
    }
    Ok(())
}

pub(crate) fn at_least_a_moment(argument: &str, duration: Duration) -> Result<u64, Error> {
    if duration.is_zero() {
        return Err(Error::invalid(format!("{argument} is zero, at least 1 ms is needed")));
    }
    Ok(millis(duration))
}

/// An event to be published or staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Such as `order.placed`: 1 to 255 bytes without control characters.
    pub name: String,
    /// The body, at most [`MAX_DATA_BYTES`].
    pub data: Vec<u8>,
    /// Pairs that travel with the event: at most 64, of 4 KiB together.
    pub metadata: Vec<(String, String)>,
    /// How long to hold it back before its first delivery.
    pub delay: Duration,
    /// 1 (first) to 2,097,152 (last); none is 100.
    pub priority: Option<u32>,
    /// How many times a subscription may fail it, at least 1; none takes the
    /// provider's default.
    pub attempts: Option<u32>,
    /// The wait after the first failure, which doubles with each, and the
    /// longest wait; none takes the provider's default.
    pub backoff: Option<(Duration, Duration)>,
}

impl NewEvent {
    /// An event with this body as it is.
    pub fn bytes(name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            data: data.into(),
            metadata: Vec::new(),
            delay: Duration::ZERO,
            priority: None,
            attempts: None,
            backoff: None,
        }
    }

    /// An event with this body as JSON.
    ///
    /// # Errors
    ///
    /// `encoding` if the body cannot be written as JSON.
    pub fn json<T: serde::Serialize + ?Sized>(
        name: impl Into<String>,
        data: &T,
    ) -> Result<Self, Error> {
        let name = name.into();
        match serde_json::to_vec(data) {
            Ok(data) => Ok(Self::bytes(name, data)),
            Err(error) => Err(Error::new(
                ErrorKind::Encoding,
                format!("the body of the event {name:?}: {error}"),
            )),
        }
    }

    pub(crate) fn checked(self) -> Result<contract::Message, Error> {
        let name = name("name", &self.name)?;
        let data = self.data.len();
        if data > MAX_DATA_BYTES {
            return Err(Error::invalid(format!(
                "data has {data} bytes, at most {MAX_DATA_BYTES} (1 MiB) are allowed; store it \
                 elsewhere and publish where it is"
            )));
        }
        let pairs = self.metadata.len();
        let bytes: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if pairs > MAX_METADATA_PAIRS || bytes > MAX_METADATA_BYTES {
            return Err(Error::invalid(format!(
                "metadata has {pairs} pairs of {bytes} bytes, at most {MAX_METADATA_PAIRS} of \
                 {MAX_METADATA_BYTES} are allowed"
            )));
        }
        if let Some(priority) = self.priority
            && !(1..=LAST_PRIORITY).contains(&priority)
        {
            return Err(Error::invalid(format!(
                "priority is {priority}, must be 1 (first) to {LAST_PRIORITY} (last)"
            )));
        }
        if self.attempts == Some(0) {
            return Err(Error::invalid("attempts is 0, must be at least 1"));
        }
        Ok(contract::Message {
            name,
            data: self.data,
            metadata: self.metadata,
            delay_ms: millis(self.delay),
            priority: self.priority,
            attempts: self.attempts,
            backoff: self.backoff.map(|(initial, max)| contract::Backoff {
                initial_ms: millis(initial),
                max_ms: millis(max),
            }),
        })
    }
}

pub(super) fn checked(events: Vec<NewEvent>) -> Result<Vec<contract::Message>, Error> {
    at_most("events", events.len())?;
    events.into_iter().map(NewEvent::checked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        let event = NewEvent::bytes("n", vec![0; MAX_DATA_BYTES]);
        assert!(event.clone().checked().is_ok());
        for (wrong, argument) in [
            (NewEvent { name: String::new(), ..event.clone() }, "name"),
            (NewEvent { name: "a\nb".into(), ..event.clone() }, "name"),
            (NewEvent { name: "n".repeat(MAX_NAME_BYTES + 1), ..event.clone() }, "name"),
            (NewEvent { data: vec![0; MAX_DATA_BYTES + 1], ..event.clone() }, "data"),
            (NewEvent { metadata: vec![Default::default(); 65], ..event.clone() }, "metadata"),
            (
                NewEvent { metadata: vec![("k".repeat(4_096), "v".into())], ..event.clone() },
                "metadata",
            ),
            (NewEvent { priority: Some(0), ..event.clone() }, "priority"),
            (NewEvent { priority: Some(LAST_PRIORITY + 1), ..event.clone() }, "priority"),
            (NewEvent { attempts: Some(0), ..event.clone() }, "attempts"),
        ] {
            let error = wrong.checked().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().starts_with(argument), "{error}");
        }
    }

    #[test]
    fn the_longest_durations_do_not_overflow() {
        assert_eq!(millis(Duration::MAX), u64::MAX);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::ZERO), 0);
    }
}
