//! Which of several file stores is the default.

use super::{DEFAULT, NamedProvider, Providers, Share};
use crate::decode::{Decoder, Node, Section};

/// What a file store is beside a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileStore {
    /// Whether calls that name no store go to it. Where none of several is, they
    /// go to the first.
    pub default: bool,
}

impl Share for FileStore {
    const KEYS: &'static [&'static str] = &[DEFAULT];

    fn alone() -> Self {
        Self { default: true }
    }

    fn decode(
        decoder: &mut Decoder<'_>,
        section: &Section<'_>,
        _: &Node<'_>,
        listed: bool,
    ) -> Self {
        Self { default: super::default(decoder, section).unwrap_or(!listed) }
    }

    fn faults(all: &[(Node<'_>, Self)]) -> Vec<(usize, String, String)> {
        super::more_than_one_default(all.iter().map(|(_, store)| store.default))
    }
}

impl Providers<FileStore> {
    /// The store that calls go to which name none.
    pub fn default_store(&self) -> &NamedProvider<FileStore> {
        self.iter().find(|store| store.share.default).unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{Config, ConfigError, Grants};

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "stheno.toml", Path::new("/"), &|_| None)
    }

    const LIST: &str = "[[modules.files.providers]]\n";

    #[test]
    fn one_store_is_the_default_and_the_first_where_none_says_so() {
        for (text, id) in [
            (String::new(), "default"),
            ("[modules.files]\nid = \"a\"\n".to_owned(), "a"),
            (format!("{LIST}id = \"a\"\n{LIST}id = \"b\"\n"), "a"),
            (format!("{LIST}id = \"a\"\n{LIST}id = \"b\"\ndefault = true\n"), "b"),
            (format!("{LIST}id = \"a\"\ndefault = false\n{LIST}id = \"b\"\n"), "a"),
        ] {
            let config = read(&text).unwrap();
            assert_eq!(config.modules.files.default_store().id.as_str(), id, "{text}");
        }
    }

    #[test]
    fn only_a_store_alone_is_granted_its_folder_by_itself() {
        let grants = |text: &str| {
            let config = read(text).unwrap();
            config.modules.files.iter().map(|store| store.config.grants.clone()).collect::<Vec<_>>()
        };
        assert_eq!(grants("")[0].folders().len(), 1);
        assert_eq!(grants("[modules.files]\nid = \"a\"\n"), grants(""));
        let list = format!("{LIST}id = \"a\"\n{LIST}id = \"b\"\n");
        assert_eq!(grants(&list), [Grants::default(), Grants::default()]);
    }

    #[test]
    fn two_defaults_are_a_mistake() {
        let text = format!("{LIST}id = \"a\"\ndefault = true\n{LIST}id = \"b\"\ndefault = true\n");
        let problems = read(&text).unwrap_err().problems();
        assert!(problems[0].message.contains("the default already"), "{problems:?}");
        assert_eq!(problems[0].line, Some(4));
    }
}
