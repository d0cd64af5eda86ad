//! How a command fails, and how that is told.

use std::io;
use std::process::ExitCode;

use serde_json::json;
use stheno::config::ConfigError;

use crate::output;

/// Why a command failed.
pub(crate) enum Failure {
    /// The config, or a provider that it names.
    Config(ConfigError),
    /// The server answered with an error.
    Answer {
        /// Such as `not-found`.
        kind: String,
        message: String,
    },
    /// The arguments contradict each other, or what they name.
    Usage { message: String, help: String },
    /// Anything else: what happened and, if known, what to do.
    Other { message: String, help: Option<String> },
    /// All that is to be said has been printed.
    Told,
    /// Nobody reads the output any more.
    Unread,
}

impl Failure {
    pub(crate) fn other(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Other { message: message.into(), help: Some(help.into()) }
    }

    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: help.into() }
    }

    /// Tells it, as JSON on stdout if `json`, and gives the exit code.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        match self {
            Self::Told => {}
            // As if the reader had closed it a moment later.
            Self::Unread => return ExitCode::SUCCESS,
            Self::Usage { message, help } => {
                if json {
                    let error = json!({"kind": "usage", "message": message, "help": help});
                    tell_json(&json!({ "error": error }));
                } else {
                    eprintln!("error: {message}\n  help: {help}");
                }
                return ExitCode::from(2);
            }
            Self::Config(error) if json => {
                let problems = error.problems();
                tell_json(&json!({"ok": false, "problems": problems}));
            }
            Self::Answer { kind, message } if json => {
                tell_json(&json!({"error": {"kind": kind, "message": message}}));
            }
            Self::Other { message, help } if json => {
                let error = json!({"kind": "failed", "message": message, "help": help});
                tell_json(&json!({ "error": error }));
            }
            Self::Config(error) => eprintln!("{:?}", miette::Report::new(error)),
            Self::Answer { kind, message } => eprintln!("error: {kind}: {message}"),
            Self::Other { message, help } => {
                eprintln!("error: {message}");
                if let Some(help) = help {
                    eprintln!("  help: {help}");
                }
            }
        }
        ExitCode::FAILURE
    }
}

fn tell_json(value: &serde_json::Value) {
    // If it cannot be written there is nobody to tell.
    let _ = output::line(&value.to_string());
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// Of writing to stdout.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Other {
                message: format!("the output cannot be written: {error}"),
                help: None,
            },
        }
    }
}
