//! Which imports a component may have.

use stheno_config::Grants;

/// What one capability serves and asks.
pub struct Capability {
    /// Its name in `stheno inspect` and in `grants`.
    pub name: &'static str,
    /// Prefixes of the imports it serves, without versions.
    pub imports: &'static [&'static str],
    /// What the operator must write for it.
    pub grant: Grant,
}

/// Whether a capability needs a line in the config.
pub enum Grant {
    /// Every provider has it.
    Free,
    /// It needs this line; the function says whether something like it is
    /// there.
    Needed {
        /// An example of the line, below `[modules.NAME]`.
        line: &'static str,
        /// Whether the grants cover it.
        covered: fn(&Grants) -> bool,
    },
    /// The import may be linked, and gives something only with this line.
    Optional {
        /// An example of the line, below `[modules.NAME]`.
        line: &'static str,
    },
}

const STORE_LINE: &str =
    "grants.store.default = { path = \"./data/store.redb\", max_size = \"1GiB\" }";

/// All capabilities there are.
pub const CAPABILITIES: &[Capability] = &[
    Capability {
        name: "log",
        imports: &["stheno:host/log", "wasi:cli/stdout", "wasi:cli/stderr", "wasi:cli/terminal-"],
        grant: Grant::Free,
    },
    Capability {
        name: "clock",
        imports: &["stheno:host/clock", "wasi:clocks/"],
        grant: Grant::Free,
    },
    Capability {
        name: "streams",
        imports: &["stheno:host/streams", "stheno:provider/types", "wasi:io/"],
        grant: Grant::Free,
    },
    Capability { name: "random", imports: &["wasi:random/"], grant: Grant::Free },
    // Nothing is in them: the environment and the arguments are empty, standard
    // input is at its end, and no folder is open unless one is granted.
    Capability {
        name: "process",
        imports: &["wasi:cli/environment", "wasi:cli/exit", "wasi:cli/stdin"],
        grant: Grant::Free,
    },
    Capability { name: "folders", imports: &["wasi:filesystem/"], grant: Grant::Free },
    Capability {
        name: "whole files in folders",
        imports: &["stheno:folders/"],
        grant: Grant::Needed {
            line: "grants.folders = [{ host = \"./data\", guest = \"/files\", mode = \"read-write\" }]",
            covered: |grants| !grants.folders().is_empty(),
        },
    },
    Capability {
        name: "sockets",
        imports: &["wasi:sockets/"],
        grant: Grant::Needed {
            line: "grants.sockets = [\"127.0.0.1:6379\"]",
            covered: |grants| !grants.sockets().is_empty(),
        },
    },
    Capability {
        name: "redis",
        imports: &["stheno:redis/redis"],
        grant: Grant::Needed {
            line: "grants.redis.default = { url = \"${REDIS_URL}\", prefix = \"shop:cache:\" }",
            covered: |grants| !grants.redis().is_empty(),
        },
    },
    Capability {
        name: "sql",
        imports: &["stheno:sql/sql"],
        grant: Grant::Needed {
            line: "grants.sql.default = { url = \"${DATABASE_URL}\", schema = \"shop_locking\" }",
            covered: |grants| !grants.sql().is_empty(),
        },
    },
    Capability {
        name: "objects",
        imports: &["stheno:objects/objects"],
        grant: Grant::Needed {
            line: "grants.objects.default = { bucket = \"shop-files\", prefix = \"files/\", endpoint = \"${S3_ENDPOINT}\", access_key_id = \"${S3_KEY}\", secret_access_key = \"${S3_SECRET}\" }",
            covered: |grants| !grants.objects().is_empty(),
        },
    },
    // Types alone reach nobody.
    Capability { name: "http", imports: &["wasi:http/types"], grant: Grant::Free },
    Capability {
        name: "http",
        imports: &["wasi:http/outgoing-handler"],
        grant: Grant::Needed {
            line: "grants.http = [{ host = \"api.example.com\", methods = [\"POST\"], path = \"/v1/\" }]",
            covered: |grants| !grants.http().is_empty(),
        },
    },
    // Why there are two of them: see the module `store`.
    Capability { name: "store", imports: &["stheno:store/types"], grant: Grant::Free },
    Capability {
        name: "store",
        imports: &["stheno:store/required"],
        grant: Grant::Needed { line: STORE_LINE, covered: |grants| !grants.stores().is_empty() },
    },
    Capability {
        name: "store",
        imports: &["stheno:store/optional"],
        grant: Grant::Optional { line: STORE_LINE },
    },
];

/// What the audit says of one import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be linked.
    Allowed {
        /// The capability that serves it.
        capability: &'static str,
    },
    /// The operator has to grant it first.
    NeedsGrant {
        /// The capability that serves it.
        capability: &'static str,
        /// An example of the line to add.
        line: &'static str,
    },
    /// It may be linked, and gives something only if the operator grants it.
    Optional {
        /// The capability that serves it.
        capability: &'static str,
        /// An example of the line to add.
        line: &'static str,
    },
    /// Nothing in this version serves it.
    Unknown,
}

/// Decides about the import called `name`, such as
/// `wasi:sockets/tcp@0.2.6`.
#[must_use]
pub fn audit(name: &str, grants: &Grants) -> Verdict {
    let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
    let serves = |capability: &&Capability| {
        capability.imports.iter().any(|import| {
            // A prefix that ends a word must meet the whole name:
            // `stheno:host/log` is not `stheno:host/login`.
            bare == *import || (import.ends_with(['/', '-']) && bare.starts_with(import))
        })
    };
    match CAPABILITIES.iter().find(serves) {
        None => Verdict::Unknown,
        Some(Capability { name, grant: Grant::Free, .. }) => Verdict::Allowed { capability: name },
        Some(Capability { name, grant: Grant::Optional { line }, .. }) => {
            Verdict::Optional { capability: name, line }
        }
        Some(Capability { name, grant: Grant::Needed { line, covered }, .. }) => {
            if covered(grants) {
                Verdict::Allowed { capability: name }
            } else {
                Verdict::NeedsGrant { capability: name, line }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stheno_config::SocketGrant;

    use super::*;

    #[test]
    fn a_name_that_only_begins_like_a_capability_is_unknown() {
        for name in ["stheno:host/login@0.1.0", "stheno:hosts/log", "wasi:socketsx/tcp", "", "@"] {
            assert_eq!(audit(name, &Grants::default()), Verdict::Unknown, "{name}");
        }
    }

    #[test]
    fn what_needs_a_grant_is_refused_without_and_allowed_with_it() {
        let name = "wasi:sockets/tcp@0.2.6";
        assert!(matches!(audit(name, &Grants::default()), Verdict::NeedsGrant { .. }));
        let mut granted = Grants::default();
        granted.add_socket(SocketGrant::new("127.0.0.1:1".parse().unwrap()).unwrap());
        assert_eq!(audit(name, &granted), Verdict::Allowed { capability: "sockets" });
    }

    #[test]
    fn a_store_that_is_required_needs_a_grant_and_an_optional_one_does_not() {
        let none = Grants::default();
        let required = audit("stheno:store/required@0.1.0", &none);
        assert!(
            matches!(required, Verdict::NeedsGrant { capability: "store", line } if line.contains("max_size"))
        );
        let optional = audit("stheno:store/optional@0.1.0", &none);
        assert!(matches!(optional, Verdict::Optional { capability: "store", .. }));
        assert_eq!(
            audit("stheno:store/types@0.1.0", &none),
            Verdict::Allowed { capability: "store" }
        );
        assert_eq!(audit("stheno:store/other@0.1.0", &none), Verdict::Unknown);
    }

    #[test]
    fn requests_need_a_grant_and_their_types_do_not() {
        let none = Grants::default();
        let handler = audit("wasi:http/outgoing-handler@0.2.4", &none);
        assert!(matches!(handler, Verdict::NeedsGrant { capability: "http", .. }), "{handler:?}");
        let types = audit("wasi:http/types@0.2.4", &none);
        assert_eq!(types, Verdict::Allowed { capability: "http" });
        assert_eq!(audit("wasi:http/incoming-handler@0.2.4", &none), Verdict::Unknown);
    }

    #[test]
    fn the_version_of_an_import_does_not_matter_to_its_grant() {
        for name in ["wasi:io/streams", "wasi:io/streams@0.2.0", "wasi:io/streams@0.2.99"] {
            assert!(matches!(audit(name, &Grants::default()), Verdict::Allowed { .. }), "{name}");
        }
    }
}
