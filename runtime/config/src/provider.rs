//! `[modules.NAME]`: which component serves a module, and what it is given.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::decode::{Decoder, Node, Section, Why};
use crate::options;
use crate::path::host_path;
use crate::{Grants, Limits};

/// Which component serves a module, and what it is given.
///
/// `Debug` names the options but does not show their values: a variable may
/// have filled them in.
#[derive(Clone, PartialEq)]
pub struct ProviderConfig {
    /// The component.
    pub resolve: Resolve,
    /// What the provider's `start` takes, as a JSON object.
    pub options: Map<String, Value>,
    /// What the provider may reach.
    pub grants: Grants,
    /// What the provider may use up.
    pub limits: Limits,
}

impl ProviderConfig {
    pub(crate) const KEYS: &'static [&'static str] = &["resolve", "options", "grants", "limits"];

    /// A provider without options and grants, with the default limits.
    pub fn new(resolve: Resolve) -> Self {
        Self { resolve, options: Map::new(), grants: Grants::default(), limits: Limits::default() }
    }

    /// `local` serves where `resolve` is not written.
    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>, local: BuiltinName) -> Self {
        let mut provider = Self::new(Resolve::Builtin(local));
        let name = node.place.name();
        let section = decoder.section_with(
            node,
            Self::KEYS,
            &format!("[modules.{name}] with resolve = \"{}\" below it", provider.resolve),
            |key| Self::belongs(&format!("[modules.{name}."), key),
        );
        if let Some(section) = section {
            provider.read(decoder, &section);
        }
        provider
    }

    /// Takes what is written in a table that may have other keys too.
    pub(crate) fn read(&mut self, decoder: &mut Decoder<'_>, section: &Section<'_>) {
        let base: &Path = decoder.base;
        let provider = self;
        if let Some(node) = section.get("resolve") {
            let example =
                format!("resolve = \"{}\" or resolve = \"./provider.wasm\"", provider.resolve);
            let parse = |text: &str| Resolve::from_text(text, base);
            if let Some(resolve) = decoder.parsed(&node, "a provider", &example, parse) {
                provider.resolve = resolve;
            }
        }
        if let Some(node) = section.get("options") {
            provider.options = options::decode(decoder, &node);
        }
        if let Some(node) = section.get("grants") {
            provider.grants = Grants::decode(decoder, &node);
        }
        if let Some(node) = section.get("limits") {
            provider.limits = Limits::decode(decoder, &node);
        }
    }

    /// Where a key should stand that was written one table too high; `table` is
    /// the beginning of a header, such as `[modules.cache.`.
    pub(crate) fn belongs(table: &str, key: &str) -> Option<String> {
        let within = if Limits::KEYS.contains(&key) {
            "limits"
        } else if Grants::KEYS.contains(&key) {
            "grants"
        } else {
            return None;
        };
        Some(format!("`{key}` belongs in {table}{within}]"))
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resolve, options, grants, limits } = self;
        f.debug_struct("ProviderConfig")
            .field("resolve", resolve)
            .field("options", &options.keys().collect::<Vec<_>>())
            .field("grants", grants)
            .field("limits", limits)
            .finish()
    }
}

/// A component, as `resolve` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// One that travels inside the runtime.
    Builtin(BuiltinName),
    /// A file.
    File(PathBuf),
}

impl Resolve {
    /// Reads a `resolve`: a path if it begins with `./`, `../` or `/` or ends
    /// in `.wasm`, relative to `base`; the name of a built-in provider
    /// otherwise. It is not checked that there is one.
    ///
    /// # Errors
    ///
    /// It is neither a path nor a name.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ResolveError> {
        Self::from_text(text, base).map_err(|why| ResolveError { reason: why.reason })
    }

    fn from_text(text: &str, base: &Path) -> Result<Self, Why> {
        let is_path = ["./", "../", "/", "~"].iter().any(|start| text.starts_with(start))
            || text.ends_with(".wasm")
            || text.contains("://");
        if is_path {
            return host_path(text, base).map(Self::File);
        }
        BuiltinName::new(text).map(Self::Builtin).map_err(|error| {
            if text.is_empty() { Why::reason("it is empty") } else { Why::reason(error) }
        })
    }
}

impl fmt::Display for Resolve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => fmt::Display::fmt(name, f),
            Self::File(path) => fmt::Display::fmt(&path.display(), f),
        }
    }
}

/// A text is neither a path nor the name of a built-in provider.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a provider: {reason}")]
pub struct ResolveError {
    reason: String,
}

/// The name of a built-in provider: lower-case letters, digits and hyphens,
/// beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuiltinName(Cow<'static, str>);

/// A text cannot be the name of a built-in provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a built-in provider's name has lower-case letters, digits and `-` only, and a path begins with `./`, `../` or `/` or ends in `.wasm`"
)]
pub struct BuiltinNameError;

impl BuiltinName {
    /// Takes a name. It is not checked that there is such a provider.
    ///
    /// # Errors
    ///
    /// It has other characters, or none.
    pub fn new(name: &str) -> Result<Self, BuiltinNameError> {
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if starts && name.bytes().all(rest) {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err(BuiltinNameError)
        }
    }

    /// A name of this crate's own tables.
    pub(crate) const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuiltinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for BuiltinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_a_path_by_its_look_and_a_name_otherwise() {
        let base = Path::new("/etc");
        let file = |path: &str| Some(Resolve::File(PathBuf::from(path)));
        for (text, resolve) in [
            ("./my", file("/etc/my")),
            ("../my", file("/etc/../my")),
            ("/my", file("/my")),
            ("my.wasm", file("/etc/my.wasm")),
            ("sub/my.wasm", file("/etc/sub/my.wasm")),
            ("cache-memory", Some(Resolve::Builtin(BuiltinName::known("cache-memory")))),
            ("", None),
            ("sub/my", None),
            ("Cache", None),
            ("2cache", None),
            ("~/my.wasm", None),
            ("https://example.com/my.wasm", None),
        ] {
            assert_eq!(Resolve::parse(text, base).ok(), resolve, "{text}");
        }
    }
}
