//! The option `fault`, and what is left for the provider's own options.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use stheno_sdk::{Error, Result};

/// Takes `fault` out of the options.
///
/// # Errors
///
/// `invalid-argument` if they are no object, or it is none of the faults.
pub fn split<F: DeserializeOwned + Default>(options: &str) -> Result<(F, String)> {
    let wrong = |error: serde_json::Error| Error::InvalidArgument(format!("fault: {error}"));
    let mut all: Map<String, Value> = serde_json::from_str(options).map_err(wrong)?;
    let fault = match all.remove("fault") {
        Some(fault) => serde_json::from_value(fault).map_err(wrong)?,
        None => F::default(),
    };
    Ok((fault, Value::Object(all).to_string()))
}

/// What a function answers that belongs to a feature which is left out.
///
/// # Errors
///
/// Always `unsupported`.
pub fn left_out<T>(feature: &str) -> Result<T> {
    Err(Error::Unsupported(format!("this provider has no {feature}")))
}
