//! `[modules]`: one provider for each module.

use std::fmt;

use crate::decode::{Decoder, Node};
use crate::{BuiltinName, FolderGrant, FolderMode, Grants, GuestPath, ProviderConfig, Resolve};

/// The one list of modules: key, variant, local provider.
macro_rules! modules {
    ($($key:ident: $variant:ident, locally $local:literal;)*) => {
        /// A module that the runtime serves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ModuleName {
            $(#[doc = concat!("`modules.", stringify!($key), "`.")]
            $variant,)*
        }

        impl ModuleName {
            /// Every module, in the order that they are shown in.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            /// The module's key in `stheno.toml`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($key),)*
                }
            }

            /// The built-in provider that needs no server. It serves where
            /// the config says nothing else.
            pub const fn local_provider(self) -> BuiltinName {
                match self {
                    $(Self::$variant => BuiltinName::known($local),)*
                }
            }
        }

        /// The provider of each module.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Modules {
            $(#[doc = concat!("`modules.", stringify!($key), "`; locally `", $local, "`.")]
            pub $key: ProviderConfig,)*
        }

        impl Modules {
            /// The provider of `module`.
            pub const fn get(&self, module: ModuleName) -> &ProviderConfig {
                match module {
                    $(ModuleName::$variant => &self.$key,)*
                }
            }

            /// The provider of `module`, to change it.
            pub const fn get_mut(&mut self, module: ModuleName) -> &mut ProviderConfig {
                match module {
                    $(ModuleName::$variant => &mut self.$key,)*
                }
            }
        }

        impl Default for Modules {
            fn default() -> Self {
                Self { $($key: local(ModuleName::$variant),)* }
            }
        }
    };
}

modules! {
    cache: Cache, locally "cache-memory";
    events: Events, locally "events-local";
    files: Files, locally "files-local";
}

fn local(module: ModuleName) -> ProviderConfig {
    let provider = ProviderConfig::new(Resolve::Builtin(module.local_provider()));
    ProviderConfig { grants: local_grants(module), ..provider }
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
    /// Every module with its provider.
    pub fn iter(&self) -> impl Iterator<Item = (ModuleName, &ProviderConfig)> {
        ModuleName::ALL.iter().map(|&module| (module, self.get(module)))
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>, node: &Node<'_>) -> Self {
        let mut modules = Self::default();
        let Some(section) = decoder.section(node, ModuleName::KEYS, "[modules.cache]") else {
            return modules;
        };
        for &module in ModuleName::ALL {
            if let Some(node) = section.get(module.as_str()) {
                let mut provider = ProviderConfig::decode(decoder, &node, module.local_provider());
                let is_local = provider.resolve == Resolve::Builtin(module.local_provider());
                if is_local && provider.grants == Grants::default() {
                    provider.grants = local_grants(module);
                }
                *modules.get_mut(module) = provider;
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
