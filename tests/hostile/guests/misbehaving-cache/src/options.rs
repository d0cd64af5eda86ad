//! How the component behaves outside the calls of its module.

use serde::Deserialize;

/// What a lifecycle function does.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Does {
    /// Succeeds.
    #[default]
    Ok,
    /// Answers `unavailable`.
    Fail,
    /// Traps.
    Panic,
    /// Never returns.
    Loop,
    /// Traps from one hour after a manual clock began until two hours after.
    PanicInTheSecondHour,
}

/// The options. All may be left out: then it only misbehaves when asked.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    pub(crate) start: Does,
    pub(crate) health: Does,
    pub(crate) stop: Does,
}
