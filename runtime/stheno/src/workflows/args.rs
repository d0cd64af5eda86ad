//! The limits of the contract, checked once, here. What a definition's steps say
//! of each other the provider checks.

use std::time::Duration;

use stheno_contracts::workflows as contract;

use crate::Error;
pub(super) use crate::events::args::{MAX_ITEMS, at_least_a_moment, at_most, millis, name};

/// The largest input, and the largest result of a step.
pub const MAX_RUN_BODY_BYTES: usize = 1024 * 1024;
/// The most steps of a workflow.
pub const MAX_WORKFLOW_STEPS: usize = 256;
/// The longest id of a schedule: its runs have it, `@` and a moment of at most 14
/// digits in their ids, which have at most 255 bytes.
const MAX_SCHEDULE_ID_BYTES: usize = 240;
/// A reason that is longer is cut.
const MAX_REASON_BYTES: usize = 4 * 1024;
/// The step under which who asks for it is given the end of a run.
pub(super) const FINISH: &str = "finish";

pub(super) fn body(argument: &str, body: Vec<u8>) -> Result<Vec<u8>, Error> {
    let bytes = body.len();
    if bytes > MAX_RUN_BODY_BYTES {
        return Err(Error::invalid(format!(
            "{argument} has {bytes} bytes, at most {MAX_RUN_BODY_BYTES} (1 MiB) are allowed; store it \
             elsewhere and pass on where it is"
        )));
    }
    Ok(body)
}

pub(super) fn schedule_id(argument: &str, id: &str) -> Result<String, Error> {
    let bytes = id.len();
    if bytes > MAX_SCHEDULE_ID_BYTES {
        return Err(Error::invalid(format!(
            "{argument} has {bytes} bytes, at most {MAX_SCHEDULE_ID_BYTES} are allowed: the ids of its \
             runs begin with it"
        )));
    }
    name(argument, id)
}

/// A reason as it is kept: whole characters of at most 4 KiB.
pub(super) fn reason(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
    reason
}

pub(super) fn verdict(verdict: contract::Verdict) -> Result<contract::Verdict, Error> {
    use contract::Verdict as V;
    Ok(match verdict {
        V::Done(result) => V::Done(body("result", result)?),
        V::Failed(text) => V::Failed(reason(text)),
        V::Rejected(text) => V::Rejected(reason(text)),
        V::Skipped | V::Waiting | V::Returned => verdict,
    })
}

pub(super) fn page(max: u32) -> Result<(), Error> {
    if max == 0 || max as usize > MAX_ITEMS {
        return Err(Error::invalid(format!("max is {max}, must be 1 to {MAX_ITEMS}")));
    }
    Ok(())
}

/// A duration that may be left out, and otherwise is at least 1 ms.
pub(super) fn moment(argument: &str, duration: Option<Duration>) -> Result<Option<u64>, Error> {
    duration.map(|duration| at_least_a_moment(argument, duration)).transpose()
}

/// What is given back as it was given; nobody but the provider knows what it
/// means.
pub(super) fn given(argument: &str, text: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{argument} is empty")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(reason("why".into()), "why");
        let long = format!("{}é", "x".repeat(MAX_REASON_BYTES - 1));
        assert_eq!(reason(long), "x".repeat(MAX_REASON_BYTES - 1));
    }

    #[test]
    fn the_run_of_the_longest_schedule_has_an_id_that_may_be() {
        let longest = "s".repeat(MAX_SCHEDULE_ID_BYTES);
        let id = schedule_id("id", &longest).unwrap();
        // In the year 5138.
        assert!(name("run", &format!("{id}@99999999999999")).is_ok());
        assert!(name("run", &format!("{id}@100000000000000")).is_err());
        let error = schedule_id("id", &(longest + "s")).unwrap_err();
        assert!(error.message().starts_with("id has 241 bytes, at most 240 "), "{error}");
        assert!(schedule_id("id", "").is_err());
    }

    #[test]
    fn what_is_too_large_is_refused_by_name() {
        assert!(body("input", vec![0; MAX_RUN_BODY_BYTES]).is_ok());
        let error = body("input", vec![0; MAX_RUN_BODY_BYTES + 1]).unwrap_err();
        assert!(error.message().starts_with("input has "), "{error}");
        let error = verdict(contract::Verdict::Done(vec![0; MAX_RUN_BODY_BYTES + 1])).unwrap_err();
        assert!(error.message().starts_with("result has "), "{error}");
    }
}
