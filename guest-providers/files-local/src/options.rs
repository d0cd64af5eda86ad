//! What an operator may set.

use serde::{Deserialize, Deserializer, de::Error as _};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    #[serde(deserialize_with = "folder")]
    folder: String,
    #[serde(deserialize_with = "filing::options::prefix")]
    prefix: String,
    #[serde(deserialize_with = "filing::options::cache_control")]
    cache_control: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folder: "/files".to_owned(),
            prefix: String::new(),
            cache_control: filing::options::CACHE_CONTROL.to_owned(),
        }
    }
}

impl Options {
    /// Where the granted folder is, without a closing slash.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// What every key begins with: nothing, or folders with a closing slash.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The `Cache-Control` of public files that come without one.
    pub(crate) fn cache_control(&self) -> &str {
        &self.cache_control
    }
}

fn folder<'de, D: Deserializer<'de>>(decoder: D) -> Result<String, D::Error> {
    let text = String::deserialize(decoder)?;
    let trimmed = text.trim_end_matches('/');
    if !text.starts_with('/') || trimmed.is_empty() {
        return Err(D::Error::custom(
            "must be the guest path of a granted folder, such as \"/files\"",
        ));
    }
    Ok(trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(text: &str) -> Result<Options, String> {
        stheno_sdk::options::parse(text).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn nothing_written_means_the_folder_files_and_no_prefix() {
        let options = parse("{}").unwrap();
        assert_eq!((options.folder(), options.prefix()), ("/files", ""));
        assert_eq!(options.cache_control(), "public, max-age=31536000, immutable");
    }

    #[test]
    fn a_prefix_is_folders() {
        for text in ["shop", "shop/", "shop//"] {
            let options = parse(&format!(r#"{{"prefix":"{text}"}}"#)).unwrap();
            assert_eq!(options.prefix(), "shop/");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, named) in [
            (r#"{"folders":"/a"}"#, "folders"),
            (r#"{"folder":"a"}"#, "folder"),
            (r#"{"folder":"/"}"#, "folder"),
            (r#"{"prefix":"../a"}"#, "prefix"),
            (r#"{"prefix":"/a"}"#, "prefix"),
            (r#"{"prefix":"/"}"#, "prefix"),
            (r#"{"cache_control":"a\nb"}"#, "cache_control"),
            (r#"{"cache_control":""}"#, "cache_control"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
