//! What a provider is granted, as the runtime and `stheno explain` have it.

use sha2::{Digest as _, Sha256};
use stheno_config::{Grants, ProviderConfig, Resolve, ScriptDigest};

/// What the provider is granted: what the config says, and the scripts that the
/// release knows of where the component is its own.
#[must_use]
pub fn granted(provider: &ProviderConfig) -> Grants {
    let mut grants = provider.grants.clone();
    if let Resolve::Builtin(builtin) = &provider.resolve {
        for script in stheno_builtins::scripts(builtin.as_str()) {
            let digest: [u8; 32] = Sha256::digest(script.as_bytes()).into();
            grants.add_redis_script(&ScriptDigest::from(digest));
        }
    }
    grants
}
