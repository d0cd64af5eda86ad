//! What an operator may set.

use std::path::PathBuf;

use serde::Deserialize;
use stheno_sdk::{Error, Result, Size, options};

use crate::journal::Journal;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    folder: Option<PathBuf>,
    max_file: Size,
}

impl Default for Options {
    fn default() -> Self {
        Self { folder: None, max_file: Size::from_mib(64) }
    }
}

impl Options {
    /// Fails where the folder cannot be written to.
    pub(crate) fn journal(self) -> Result<Option<Journal>> {
        let Some(folder) = self.folder else { return Ok(None) };
        if !folder.is_absolute() {
            return Err(options::invalid(
                "folder",
                "write a path from `/`, the `guest` of one of the granted folders",
            ));
        }
        // Whether it is granted shows only when it is tried; the grant may be
        // missing, or the host's folder. A check of the config grants nothing.
        match Journal::open(folder.clone(), self.max_file.as_bytes()) {
            Ok(journal) => Ok(Some(journal)),
            Err(error) => Err(Error::Unavailable(format!(
                "the folder {0} cannot be opened ({error}); grant it, as in grants.folders = \
                 [{{ host = \"./analytics\", guest = \"{0}\", mode = \"read-write\" }}]",
                folder.display()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use stheno_sdk::options::parse;

    #[test]
    fn without_a_folder_there_is_only_the_log() {
        assert!(parse::<Options>("{}").unwrap().journal().unwrap().is_none());
    }

    #[test]
    fn wrong_options_are_named() {
        for (json, key) in [
            (r#"{"folder":"data"}"#, "`folder`"),
            (r#"{"folder":7}"#, "`folder`"),
            (r#"{"max_file":"big"}"#, "`max_file`"),
            (r#"{"rotate":true}"#, "`rotate`"),
            (r#"{"folder":"/not/there"}"#, "grants.folders"),
        ] {
            let error = parse::<Options>(json).and_then(Options::journal).map(|_| ()).unwrap_err();
            let text = format!("{error:?}");
            assert!(text.contains(key), "{json}: {text}");
        }
    }
}
