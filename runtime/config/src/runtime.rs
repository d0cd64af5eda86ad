//! `[runtime]`: what all modules share.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::decode::{Decoder, Node};
use crate::interpolate::Env;
use crate::path::host_path;

const KEYS: &[&str] = &["compile_cache"];
const EXAMPLE: &str = r#"compile_cache = "/var/cache/stheno""#;

/// What all modules share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Where compiled components are kept between starts.
    pub compile_cache: CompileCache,
}

/// Where compiled components are kept between starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CompileCache {
    /// In the user's cache folder; see [`CompileCache::folder`].
    #[default]
    UserFolder,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere: every start compiles.
    Off,
}

impl CompileCache {
    /// The folder to use; `None` is no cache.
    ///
    /// The user's folder is `$XDG_CACHE_HOME/stheno`, or
    /// `$HOME/.cache/stheno`. A relative path in either variable is ignored,
    /// as the XDG specification wants it, and so there may be none.
    pub fn folder(&self, env: &Env<'_>) -> Option<PathBuf> {
        let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        match self {
            Self::Off => None,
            Self::Folder(folder) => Some(folder.clone()),
            Self::UserFolder => absolute("XDG_CACHE_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
                .map(|cache| cache.join("stheno")),
        }
    }

    fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<Self> {
        let base: &Path = decoder.base;
        match node.value {
            DeValue::Boolean(false) => Some(Self::Off),
            DeValue::String(_) => decoder
                .parsed(node, "a folder", EXAMPLE, |text| host_path(text, base))
                .map(Self::Folder),
            _ => {
                decoder.wrong_type(
                    node,
                    "a folder or false",
                    &format!("{EXAMPLE}, compile_cache = false to compile at every start, or no such line for the user's cache folder"),
                );
                None
            }
        }
    }
}

impl RuntimeConfig {
    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Self {
        let compile_cache = decoder
            .section(node, KEYS, "[runtime]")
            .and_then(|section| section.get("compile_cache"))
            .and_then(|node| CompileCache::decode(decoder, &node));
        Self { compile_cache: compile_cache.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_cache_folder_follows_xdg() {
        let folder = |xdg: Option<&str>, home: Option<&str>| {
            CompileCache::UserFolder.folder(&|name| match name {
                "XDG_CACHE_HOME" => xdg.map(str::to_owned),
                "HOME" => home.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(folder(Some("/x"), Some("/h")), Some(PathBuf::from("/x/stheno")));
        assert_eq!(folder(None, Some("/h")), Some(PathBuf::from("/h/.cache/stheno")));
        assert_eq!(folder(Some("rel"), Some("/h")), Some(PathBuf::from("/h/.cache/stheno")));
        assert_eq!(folder(Some(""), None), None);
        assert_eq!(CompileCache::Off.folder(&|_| Some("/x".to_owned())), None);
    }
}
