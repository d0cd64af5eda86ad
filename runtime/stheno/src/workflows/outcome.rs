//! What handlers give back.

use serde::Serialize;
use stheno_contracts::workflows as contract;

use super::args;
use crate::{Error, ErrorKind, Failure};

/// How an attempt went that did not fail, where it is more than its result: a
/// handler may return its result as it is, or one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T = ()> {
    /// Done, with this result as JSON.
    Done(T),
    /// Done, with these bytes as the result.
    Bytes(Vec<u8>),
    /// There was nothing to do: the step is skipped. A compensation is done.
    Skipped,
    /// It goes on elsewhere, until somebody calls
    /// [`Workflows::complete`](super::Workflows::complete) or
    /// [`Workflows::fail`](super::Workflows::fail), or its time is up.
    Waiting,
}

/// What a handler may return: anything that can be written as JSON, or an
/// [`Outcome`].
pub trait IntoOutcome: sealed::IntoVerdict {}

impl<T: sealed::IntoVerdict> IntoOutcome for T {}

pub(super) mod sealed {
    use super::{Error, contract};

    pub trait IntoVerdict {
        fn into_verdict(self) -> Result<contract::Verdict, Error>;
    }
}

impl<T: Serialize> sealed::IntoVerdict for T {
    fn into_verdict(self) -> Result<contract::Verdict, Error> {
        let result = serde_json::to_vec(&self).map_err(|error| {
            Error::new(ErrorKind::Encoding, format!("the result of the step: {error}"))
        })?;
        Ok(contract::Verdict::Done(args::body("result", result)?))
    }
}

impl<T: Serialize> sealed::IntoVerdict for Outcome<T> {
    fn into_verdict(self) -> Result<contract::Verdict, Error> {
        match self {
            Self::Done(result) => result.into_verdict(),
            Self::Bytes(result) => Ok(contract::Verdict::Done(args::body("result", result)?)),
            Self::Skipped => Ok(contract::Verdict::Skipped),
            Self::Waiting => Ok(contract::Verdict::Waiting),
        }
    }
}

/// The verdict on an attempt. A result that cannot be recorded will not be better
/// next time, so it is rejected.
pub(super) fn verdict<O: IntoOutcome>(handled: Result<O, Failure>) -> contract::Verdict {
    match handled.map(sealed::IntoVerdict::into_verdict) {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => contract::Verdict::Rejected(error.to_string()),
        Err(failure) => failed(failure),
    }
}

pub(super) fn failed(failure: Failure) -> contract::Verdict {
    match failure.into_parts() {
        (reason, true) => contract::Verdict::Rejected(args::reason(reason)),
        (reason, false) => contract::Verdict::Failed(args::reason(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_returns_is_its_verdict() {
        let is = |verdict: contract::Verdict, expected: &str| {
            assert_eq!(format!("{verdict:?}").split('(').next(), Some(expected));
        };
        is(verdict(Ok(5)), "Verdict::Done");
        is(verdict(Ok(Outcome::Bytes::<()>(vec![255]))), "Verdict::Done");
        is(verdict(Ok(Outcome::Skipped::<()>)), "Verdict::Skipped");
        is(verdict(Ok(Outcome::Waiting::<()>)), "Verdict::Waiting");
        is(verdict::<()>(Err(Failure::retry("busy"))), "Verdict::Failed");
        is(verdict::<()>(Err(Failure::reject("no"))), "Verdict::Rejected");
        is(verdict(Ok("x".repeat(args::MAX_RUN_BODY_BYTES))), "Verdict::Rejected");
        is(
            verdict(Ok(Outcome::Done(
                [(vec![1], 2)].into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            ))),
            "Verdict::Rejected",
        );
    }
}
