//! Where in the config something stands.

use std::fmt;

use crate::ModuleName;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

/// A place in the config, such as `modules.cache.grants.folders[0]`.
///
/// Later stages (the engine, a provider that refuses its options) name a
/// place, and [`Config::diagnose`](crate::Config::diagnose) finds its line.
/// A place need not be written in the file: then its nearest parent that is
/// written is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(Vec<Step>);

impl Place {
    /// The whole file.
    pub fn root() -> Self {
        Self::default()
    }

    /// `modules.NAME`.
    pub fn module(module: ModuleName) -> Self {
        Self::root().key("modules").key(module.as_str())
    }

    /// `modules.NAME.resolve`: the choice of the component.
    pub fn resolve(module: ModuleName) -> Self {
        Self::module(module).key("resolve")
    }

    /// `modules.NAME.options`.
    pub fn options(module: ModuleName) -> Self {
        Self::module(module).key("options")
    }

    /// `modules.NAME.grants`.
    pub fn grants(module: ModuleName) -> Self {
        Self::module(module).key("grants")
    }

    /// `modules.NAME.limits`.
    pub fn limits(module: ModuleName) -> Self {
        Self::module(module).key("limits")
    }

    /// `server.KEY`.
    pub fn server(key: &str) -> Self {
        Self::root().key("server").key(key)
    }

    /// `runtime.KEY`.
    pub fn runtime(key: &str) -> Self {
        Self::root().key("runtime").key(key)
    }

    /// A key within this place.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Step::Key(key.into()));
        self
    }

    /// An element of the array at this place, counted from 0.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// The place that this one is within; `None` for the whole file.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// Its last key, such as `timeout`; the whole place for an array element.
    pub(crate) fn name(&self) -> String {
        match self.0.last() {
            Some(Step::Key(key)) => key.clone(),
            Some(Step::Index(_)) | None => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    let bare = !key.is_empty()
                        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                    if bare { f.write_str(key)? } else { write!(f, "{key:?}")? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_toml_writes_it() {
        let place = Place::grants(ModuleName::Cache).key("folders").index(2).key("host");
        assert_eq!(place.to_string(), "modules.cache.grants.folders[2].host");
        assert_eq!(
            Place::options(ModuleName::Events).key("a b").to_string(),
            r#"modules.events.options."a b""#
        );
    }
}
