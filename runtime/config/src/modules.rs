//! `[modules]`: the provider of each module, or the providers where it takes
//! several.

use std::fmt;

use crate::decode::{Decoder, Node};
use crate::several::{self, Everything, FileStore, ProviderId, Providers, Routes};
use crate::{
    BuiltinName, FolderGrant, FolderMode, Grants, GuestPath, Place, ProviderConfig, RecordsFile,
    Resolve,
};

/// The one list of modules: key, variant, local provider; then those that take
/// several providers, with what a provider is told beside its own config.
macro_rules! modules {
    (
        $($key:ident: $variant:ident, locally $local:literal;)*
        @several
        $($many:ident: $many_variant:ident($share:ty), locally $many_local:literal;)*
    ) => {
        /// A module that the runtime serves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ModuleName {
            $(#[doc = concat!("`modules.", stringify!($key), "`.")]
            $variant,)*
            $(#[doc = concat!("`modules.", stringify!($many), "`.")]
            $many_variant,)*
        }

        impl ModuleName {
            /// Every module, in the order that they are shown in.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* $(Self::$many_variant),*];

            const KEYS: &'static [&'static str] =
                &[$(stringify!($key),)* $(stringify!($many)),*];

            /// The module's key in `stheno.toml`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($key),)*
                    $(Self::$many_variant => stringify!($many),)*
                }
            }

            /// The built-in provider that needs no server. It serves where
            /// the config says nothing else.
            pub const fn local_provider(self) -> BuiltinName {
                match self {
                    $(Self::$variant => BuiltinName::known($local),)*
                    $(Self::$many_variant => BuiltinName::known($many_local),)*
                }
            }
        }

        /// The provider of each module.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Modules {
            $(#[doc = concat!("`modules.", stringify!($key), "`; locally `", $local, "`.")]
            pub $key: ProviderConfig,)*
            $(#[doc = concat!("`modules.", stringify!($many), "`; locally `", $many_local, "`.")]
            pub $many: Providers<$share>,)*
            /// `modules.notifications.records`: where notifications are recorded;
            /// none is in memory.
            pub notification_records: Option<RecordsFile>,
        }

        impl Modules {
            /// The provider of `module`, the first where there are several.
            pub const fn get(&self, module: ModuleName) -> &ProviderConfig {
                match module {
                    $(ModuleName::$variant => &self.$key,)*
                    $(ModuleName::$many_variant => &self.$many.first.config,)*
                }
            }

            /// The provider of `module`, to change it; the first where there are
            /// several.
            pub const fn get_mut(&mut self, module: ModuleName) -> &mut ProviderConfig {
                match module {
                    $(ModuleName::$variant => &mut self.$key,)*
                    $(ModuleName::$many_variant => &mut self.$many.first.config,)*
                }
            }

            /// Has this provider, and no other, serve `module`.
            pub fn set(&mut self, module: ModuleName, provider: ProviderConfig) {
                match module {
                    $(ModuleName::$variant => self.$key = provider,)*
                    $(ModuleName::$many_variant => self.$many = Providers::one(provider),)*
                }
            }

            /// The providers of `module`, each with the place of its table.
            pub fn all(&self, module: ModuleName) -> Vec<(Place, &ProviderConfig)> {
                match module {
                    $(ModuleName::$variant => vec![(Place::module(module), &self.$key)],)*
                    $(ModuleName::$many_variant => self
                        .$many
                        .iter()
                        .enumerate()
                        .map(|(position, provider)| {
                            (self.$many.place(module, position), &provider.config)
                        })
                        .collect(),)*
                }
            }

            /// The ids of the providers of `module`, in the order of [`all`](Self::all),
            /// where they are written as a list; else none.
            pub fn ids(&self, module: ModuleName) -> Vec<&ProviderId> {
                match module {
                    $(ModuleName::$variant => Vec::new(),)*
                    $(ModuleName::$many_variant => self.$many.listed_ids(),)*
                }
            }

            fn read(&mut self, decoder: &mut Decoder<'_>, module: ModuleName, node: &Node<'_>) {
                match module {
                    $(ModuleName::$variant => {
                        self.$key = ProviderConfig::decode(decoder, node, module.local_provider());
                        grant_locally(module, &mut self.$key);
                    })*
                    $(ModuleName::$many_variant => {
                        self.$many = Providers::decode(decoder, node, module.local_provider());
                        if let Some(alone) = self.$many.alone_mut() {
                            grant_locally(module, alone);
                        }
                    })*
                }
            }
        }

        impl Default for Modules {
            fn default() -> Self {
                Self {
                    $($key: local(ModuleName::$variant),)*
                    $($many: Providers::one(local(ModuleName::$many_variant)),)*
                    notification_records: None,
                }
            }
        }
    };
}

modules! {
    cache: Cache, locally "cache-memory";
    events: Events, locally "events-local";
    locking: Locking, locally "locking-local";
    workflows: Workflows, locally "workflows-local";
    @several
    files: Files(FileStore), locally "files-local";
    notifications: Notifications(Routes), locally "notifications-local";
    analytics: Analytics(Everything), locally "analytics-local";
}

/// What `[modules.notifications]` says of records.
fn records(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Option<RecordsFile> {
    RecordsFile::decode(decoder, &node.get(several::RECORDS)?)
}

fn local(module: ModuleName) -> ProviderConfig {
    let provider = ProviderConfig::new(Resolve::Builtin(module.local_provider()));
    ProviderConfig { grants: local_grants(module), ..provider }
}

/// Grants the local provider what it cannot do without, if nothing is granted to it.
fn grant_locally(module: ModuleName, provider: &mut ProviderConfig) {
    let local = local(module);
    if provider.resolve == local.resolve && provider.grants == Grants::default() {
        provider.grants = local.grants;
    }
}

/// What the local provider of a module cannot do without, granted where nothing
/// else is. Folders are relative to the working folder, and are made when they
/// are first written to.
fn local_grants(module: ModuleName) -> Grants {
    let Some((host, guest)) = (match module {
        ModuleName::Files => Some(("stheno-data/files", "/files")),
        _ => None,
    }) else {
        return Grants::default();
    };
    // Absolute, so that a later change of the working folder moves nothing. It
    // fails only where there is no working folder.
    let host = std::path::absolute(host).unwrap_or_else(|_| host.into());
    GuestPath::new(guest).map_or_else(
        |_| Grants::default(),
        |guest| Grants::made_on_use(FolderGrant { host, guest, mode: FolderMode::ReadWrite }),
    )
}

impl ModuleName {
    /// The module of this key, if there is one.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|module| module.as_str() == key)
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Modules {
    /// Every provider with the module that it serves.
    pub fn iter(&self) -> impl Iterator<Item = (ModuleName, &ProviderConfig)> {
        let all =
            |&module| self.all(module).into_iter().map(move |(_, provider)| (module, provider));
        ModuleName::ALL.iter().flat_map(all)
    }

    /// Every provider with its place in the config.
    pub fn placed(&self) -> impl Iterator<Item = (Place, &ProviderConfig)> {
        ModuleName::ALL.iter().flat_map(|&module| self.all(module))
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Self {
        let mut modules = Self::default();
        let Some(section) = decoder.section(node, ModuleName::KEYS, "[modules.cache]") else {
            return modules;
        };
        for &module in ModuleName::ALL {
            if let Some(node) = section.get(module.as_str()) {
                modules.read(decoder, module, &node);
                if module == ModuleName::Notifications {
                    modules.notification_records = records(decoder, &node);
                }
            }
        }
        modules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_found_by_its_key_and_has_a_lawful_local_provider() {
        for &module in ModuleName::ALL {
            assert_eq!(ModuleName::from_key(module.as_str()), Some(module));
            let local = module.local_provider();
            assert_eq!(BuiltinName::new(local.as_str()), Ok(local));
        }
        assert_eq!(ModuleName::from_key("cahce"), None);
    }
}
