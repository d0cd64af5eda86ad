//! `[[modules.NAME.providers]]`: a module that takes several providers.
//!
//! One provider may be written as in any other module, `[modules.NAME]` with
//! its keys below; several are a list, where each has an `id`. What a provider
//! is told beside its own config (the channels of notifications, whether a file
//! store is the default) is its *share*.

mod routes;
mod stores;

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;
use toml::de::DeValue;

use crate::decode::{Decoder, Node, Section, Why};
use crate::{BuiltinName, ModuleName, Place, ProviderConfig, Resolve};

pub(crate) use routes::RECORDS;
pub use routes::{Channel, ChannelError, Routes};
pub use stores::FileStore;

const PROVIDERS: &str = "providers";
const ID: &str = "id";
const DEFAULT: &str = "default";

/// The providers of a module that takes several: at least one, each with an id
/// of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Providers<S> {
    /// The one written first.
    pub(crate) first: NamedProvider<S>,
    rest: Vec<NamedProvider<S>>,
    /// Whether they are written as a list.
    listed: bool,
}

/// One of several providers.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedProvider<S> {
    /// What records and calls name it by.
    pub id: ProviderId,
    /// What it is for.
    pub share: S,
    /// The component and what it is given.
    pub config: ProviderConfig,
}

/// Every provider gets everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everything;

/// What a provider is told beside its own config.
pub(crate) trait Share: Sized {
    /// The keys that it is written in.
    const KEYS: &'static [&'static str];
    /// Keys of the module's own table that hold for all of its providers; they are
    /// read elsewhere.
    const COMMON: &'static [&'static str] = &[];
    /// That of a provider alone, of which nothing is said.
    fn alone() -> Self;
    /// That which is written; `listed` says whether it is one of a list.
    fn decode(
        decoder: &mut Decoder<'_>,
        section: &Section<'_>,
        node: &Node<'_>,
        listed: bool,
    ) -> Self;
    /// What is wrong with all of them together.
    fn faults(all: &[(Node<'_>, Self)]) -> Vec<(usize, String, String)>;
}

impl<S> Providers<S> {
    /// All of them, in the order that they are written in.
    pub fn iter(&self) -> impl Iterator<Item = &NamedProvider<S>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The place of the table of the one at this position.
    pub(crate) fn place(&self, module: ModuleName, position: usize) -> Place {
        let module = Place::module(module);
        if self.listed { module.key(PROVIDERS).index(position) } else { module }
    }

    /// These providers.
    ///
    /// # Errors
    ///
    /// There is none, or two have the same id.
    pub fn new(all: Vec<NamedProvider<S>>) -> Result<Self, ProvidersError> {
        let mut ids = BTreeSet::new();
        if let Some(twice) = all.iter().find(|provider| !ids.insert(&provider.id)) {
            return Err(ProvidersError::Twice(twice.id.clone()));
        }
        let mut all = all.into_iter();
        let first = all.next().ok_or(ProvidersError::None)?;
        Ok(Self { first, rest: all.collect(), listed: true })
    }
}

/// Some providers cannot serve a module together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProvidersError {
    /// There must be one.
    #[error("there is no provider")]
    None,
    /// Calls and records could not tell them apart.
    #[error("two providers have the id `{0}`")]
    Twice(ProviderId),
}

#[expect(private_bounds, reason = "what it bounds is for this crate alone")]
impl<S: Share> Providers<S> {
    /// This provider alone.
    pub(crate) fn one(config: ProviderConfig) -> Self {
        let first = NamedProvider { id: ProviderId::alone(), share: S::alone(), config };
        Self { first, rest: Vec::new(), listed: false }
    }

    /// The one that is written as in any other module, to change it; none where
    /// they are a list.
    pub(crate) fn alone_mut(&mut self) -> Option<&mut ProviderConfig> {
        (!self.listed).then_some(&mut self.first.config)
    }

    /// The ids, where they are a list.
    pub(crate) fn listed_ids(&self) -> Vec<&ProviderId> {
        let ids = self.listed.then(|| self.iter().map(|provider| &provider.id));
        ids.into_iter().flatten().collect()
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>, local: BuiltinName) -> Self {
        let listed = match node.value {
            DeValue::Table(table) => table.contains_key(PROVIDERS),
            _ => false,
        };
        if listed { Self::list(decoder, node, &local) } else { Self::alone(decoder, node, local) }
    }

    fn alone(decoder: &mut Decoder<'_>, node: &Node<'_>, local: BuiltinName) -> Self {
        let mut one = Self::one(ProviderConfig::new(Resolve::Builtin(local)));
        let table = format!("[{}.", node.place);
        let keys = [ProviderConfig::KEYS, &[ID], S::KEYS, S::COMMON, &[PROVIDERS]].concat();
        let example =
            format!("[{}] with resolve = \"{}\" below it", node.place, one.first.config.resolve);
        let section =
            decoder.section_with(node, &keys, &example, |key| ProviderConfig::belongs(&table, key));
        if let Some(section) = section {
            one.first.config.read(decoder, &section);
            if let Some(id) = ProviderId::decode(decoder, &section) {
                one.first.id = id;
            }
            one.first.share = S::decode(decoder, &section, node, false);
        }
        one
    }

    fn list(decoder: &mut Decoder<'_>, node: &Node<'_>, local: &BuiltinName) -> Self {
        let one = || Self::one(ProviderConfig::new(Resolve::Builtin(local.clone())));
        let module = node.place.to_string();
        let own = [ProviderConfig::KEYS, &[ID], S::KEYS].concat();
        let example = format!("[[{module}.{PROVIDERS}]] with id = \"main\" below it");
        let keys = [&[PROVIDERS], S::COMMON].concat();
        let section = decoder.section_with(node, &keys, &example, |key| {
            own.contains(&key).then(|| {
                format!(
                    "`{key}` belongs in [[{module}.{PROVIDERS}]], or leave `{PROVIDERS}` out \
                     where there is only one"
                )
            })
        });
        let Some(list) = section.and_then(|section| section.get(PROVIDERS)) else { return one() };
        let Some(nodes) = decoder.array(&list, &example) else { return one() };
        if nodes.is_empty() {
            decoder.fault(
                &list,
                format!("`{}` has no provider", list.place),
                format!("write {example}, or leave it out for {local}"),
            );
            return one();
        }
        let mut all: Vec<NamedProvider<S>> = Vec::new();
        let mut shares = Vec::new();
        for node in nodes {
            let mut provider =
                Self::one(ProviderConfig::new(Resolve::Builtin(local.clone()))).first;
            let table = format!("[{module}.{PROVIDERS}.");
            let section = decoder
                .section_with(&node, &own, &example, |key| ProviderConfig::belongs(&table, key));
            let Some(section) = section else { continue };
            provider.config.read(decoder, &section);
            let share = S::decode(decoder, &section, &node, true);
            match section.get(ID) {
                None => decoder.fault(
                    &node,
                    format!("`{}` has no `{ID}`", node.place),
                    "write id = \"main\": records and calls name a provider by it",
                ),
                Some(at) => {
                    if let Some(id) = ProviderId::decode(decoder, &section) {
                        if all.iter().any(|other| other.id == id) {
                            decoder.fault(
                                &at,
                                format!("another provider of `{module}` has the id `{id}`"),
                                "give each an id of its own",
                            );
                        }
                        provider.id = id;
                    }
                }
            }
            shares.push((node, share));
            all.push(provider);
        }
        for (position, message, help) in S::faults(&shares) {
            if let Some((node, _)) = shares.get(position) {
                decoder.fault(node, message, help);
            }
        }
        for (provider, (_, share)) in all.iter_mut().zip(shares) {
            provider.share = share;
        }
        let mut all = all.into_iter();
        // Faults were reported: the result is not used.
        let Some(first) = all.next() else { return one() };
        Self { first, rest: all.collect(), listed: true }
    }
}

/// What `default` says, if it is written.
fn default(decoder: &mut Decoder<'_>, section: &Section<'_>) -> Option<bool> {
    let node = section.get(DEFAULT)?;
    match node.value {
        DeValue::Boolean(default) => Some(*default),
        _ => {
            decoder.wrong_type(&node, "true or false", "default = true");
            // Whatever else follows from it is not reported too.
            Some(true)
        }
    }
}

/// A fault for each but the first that is the default.
fn more_than_one_default(is_default: impl Iterator<Item = bool>) -> Vec<(usize, String, String)> {
    let defaults = is_default.enumerate().filter(|(_, is_default)| *is_default);
    let fault = |(position, _)| {
        let message = "another provider is the default already".to_owned();
        (position, message, "write default = true once".to_owned())
    };
    defaults.skip(1).map(fault).collect()
}

impl Share for Everything {
    const KEYS: &'static [&'static str] = &[];

    fn alone() -> Self {
        Self
    }

    fn decode(_: &mut Decoder<'_>, _: &Section<'_>, _: &Node<'_>, _: bool) -> Self {
        Self
    }

    fn faults(_: &[(Node<'_>, Self)]) -> Vec<(usize, String, String)> {
        Vec::new()
    }
}

/// What an operator calls one of several providers: 1 to 64 lower-case letters,
/// digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(String);

/// A text cannot be the id of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an id has 1 to 64 lower-case letters, digits, `-` and `_`, and nothing else")]
pub struct ProviderIdError;

impl ProviderId {
    /// Takes an id.
    ///
    /// # Errors
    ///
    /// It has other characters, none, or too many.
    pub fn new(id: &str) -> Result<Self, ProviderIdError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if (1..=64).contains(&id.len()) && id.bytes().all(allowed) {
            Ok(Self(id.to_owned()))
        } else {
            Err(ProviderIdError)
        }
    }

    /// That of a provider alone which has none written.
    fn alone() -> Self {
        Self("default".to_owned())
    }

    fn decode(decoder: &mut Decoder<'_>, section: &Section<'_>) -> Option<Self> {
        let parse = |text: &str| Self::new(text).map_err(Why::reason);
        decoder.parsed(&section.get(ID)?, "a provider's id", "id = \"main\"", parse)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! shown {
    ($($name:ident),*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        })*
    };
}

shown!(ProviderId, Channel);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Config, ConfigError};

    fn read(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, "stheno.toml", Path::new("/"), &|_| None)
    }

    fn channels(provider: &NamedProvider<Routes>) -> Vec<&str> {
        provider.share.channels.iter().map(Channel::as_str).collect()
    }

    #[test]
    fn nothing_written_is_the_local_provider_for_every_channel() {
        let config = read("").unwrap();
        let all: Vec<_> = config.modules.notifications.iter().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].id.as_str(), all[0].share.default), ("default", true));
        assert_eq!(all[0].config.resolve.to_string(), "notifications-local");
        assert_eq!(config.modules.analytics.iter().count(), 1);
    }

    #[test]
    fn one_provider_is_written_as_in_any_module() {
        let config = read(
            "[modules.notifications]\nid = \"mail\"\nchannels = [\"email\"]\n\
             [modules.notifications.options]\noutbox = 5\n",
        )
        .unwrap();
        let all: Vec<_> = config.modules.notifications.iter().collect();
        assert_eq!((all[0].id.as_str(), channels(all[0])), ("mail", vec!["email"]));
        assert!(!all[0].share.default);
        let (place, provider) = &config.modules.all(ModuleName::Notifications)[0];
        assert_eq!(place.to_string(), "modules.notifications");
        assert_eq!(provider.options["outbox"], 5);
    }

    #[test]
    fn several_are_a_list_in_their_order() {
        let config = read(
            "[[modules.notifications.providers]]\nid = \"mail\"\nchannels = [\"email\"]\n\
             limits = { memory = \"64MiB\" }\n\
             [[modules.notifications.providers]]\nid = \"spare\"\nresolve = \"./my.wasm\"\n\
             channels = [\"email\", \"sms\"]\ndefault = true\n\
             [[modules.analytics.providers]]\nid = \"a\"\n[[modules.analytics.providers]]\nid = \"b\"\n",
        )
        .unwrap();
        let all: Vec<_> = config.modules.notifications.iter().collect();
        assert_eq!(channels(all[0]), ["email"]);
        assert_eq!((channels(all[1]), all[1].share.default), (vec!["email", "sms"], true));
        assert_eq!(all[1].config.resolve, Resolve::File("/my.wasm".into()));
        let places = config.modules.all(ModuleName::Analytics);
        assert_eq!(places[1].0.to_string(), "modules.analytics.providers[1]");
        let error = config.diagnose(places[1].0.clone().key("options"), "m", "h");
        assert!(error.problems()[0].line > Some(9), "{error:?}");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        const LIST: &str = "[[modules.notifications.providers]]\n";
        let twice = format!("{LIST}id = \"a\"\ndefault = true\n{LIST}id = \"a\"\ndefault = true\n");
        for (text, line, told) in [
            (format!("{LIST}channels = [\"email\"]\n"), 1, "has no `id`"),
            (twice.clone(), 5, "has the id `a`"),
            (twice, 4, "the default already"),
            (format!("{LIST}id = \"a\"\n"), 1, "serves no channel"),
            (format!("{LIST}id = \"a\"\nchannels = []\n"), 3, "serves no channel"),
            (format!("{LIST}id = \"a\"\nchannels = [\"x\", \"x\"]\n"), 3, "`x` is there twice"),
            (format!("{LIST}id = \"a\"\nchannels = [\"\"]\n"), 3, "is not a channel"),
            (format!("{LIST}id = \"a\"\nchannels = \"email\"\n"), 3, "must be an array"),
            (format!("{LIST}id = \"A b\"\ndefault = true\n"), 2, "is not a provider's id"),
            (format!("{LIST}id = \"a\"\ndefault = 1\n"), 3, "must be true or false"),
            ("[modules.notifications]\nproviders = []\n".to_owned(), 2, "has no provider"),
            ("[modules.analytics]\nproviders = []\n".to_owned(), 2, "has no provider"),
            ("[modules.analytics]\nproviders = 3\n".to_owned(), 2, "must be an array"),
            ("[modules.analytics]\nchannels = [\"x\"]\n".to_owned(), 2, "no key `channels`"),
            ("modules.analytics = 1\n".to_owned(), 1, "must be a table"),
        ] {
            let problems = read(&text).unwrap_err().problems();
            let found = problems
                .iter()
                .any(|problem| problem.message.contains(told) && problem.line == Some(line));
            assert!(found, "{text}: {problems:?}");
        }
    }

    #[test]
    fn a_key_beside_the_list_is_told_where_it_belongs() {
        let text = "[modules.notifications]\nresolve = \"x\"\n\
                    [[modules.notifications.providers]]\nid = \"a\"\ndefault = true\nmemory = 1\n";
        let problems = read(text).unwrap_err().problems();
        assert!(problems[0].help.contains("belongs in [[modules.notifications.providers]]"));
        assert!(problems[1].help.contains("[modules.notifications.providers.limits]"));
    }

    #[test]
    fn providers_made_in_code_are_at_least_one_and_told_apart() {
        assert_eq!(Providers::<Everything>::new(vec![]), Err(ProvidersError::None));
        let one = Providers::<Everything>::one(ProviderConfig::new(Resolve::File("/x".into())));
        let twice = vec![one.first.clone(), one.first];
        assert!(matches!(Providers::new(twice), Err(ProvidersError::Twice(_))));
    }
}
