//! Mistakes in a config: where they are reported (`places`), what is shown of
//! them and what is not (`shown`), and what is found after parsing or before
//! there is a text (`later`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use stheno_config::{Config, ConfigError};

mod later;
mod places;
mod shown;

pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "SHORT" => Some("hunter2".to_owned()),
        "THIRTY" => Some("30".to_owned()),
        "NAME" => Some("cache-memry".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

pub(crate) fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "stheno.toml", Path::new("/etc/stheno"), &env)
}
