//! Which config a command works on.

use std::path::{Path, PathBuf};

use clap::Args;
use stheno::config::{Config, ConfigError, process_env};

const DEFAULT: &str = "stheno.toml";

/// `--config`.
#[derive(Args)]
pub(crate) struct ConfigFile {
    /// The config [default: stheno.toml in this folder, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file to read; none means that every module is local.
    pub(crate) fn path(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT);
        // One that cannot be looked at is there: reading it will say why.
        let there = || default.try_exists().unwrap_or(true).then_some(default);
        self.config.as_deref().or_else(there)
    }

    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        match self.path() {
            Some(path) => Config::load(path, &process_env),
            None => Ok(Config::default()),
        }
    }
}
