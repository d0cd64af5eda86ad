//! Precompiled code on disk.
//!
//! Compiling a component costs about 0.1 s for a small Rust one and seconds for one
//! that carries a JavaScript or Python runtime; loading the result costs well
//! under a millisecond. Precompiled code is native code, though: whoever can
//! write the file runs in this process. So a file is used only if
//!
//! - it lies in a folder that belongs to this user and that nobody else can
//!   write to (otherwise there is no cache, and a warning says why);
//! - it was made from exactly these bytes by an engine with exactly these
//!   settings, which its name says;
//! - it begins with the digest of that component and its code together, so that
//!   a damaged or cut file, or one that was put in another's place, is compiled
//!   anew.
//!
//! Nothing else in Stheno takes precompiled code.

use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8; 8] = b"STHENO\x00\x02";
const DIGEST_BYTES: usize = 32;

/// A folder of precompiled code.
pub(crate) struct CompileCache {
    folder: PathBuf,
    engine_key: String,
}

/// The digest of a component.
pub(crate) type ComponentDigest = [u8; DIGEST_BYTES];

pub(crate) fn digest(bytes: &[u8]) -> ComponentDigest {
    Sha256::digest(bytes).into()
}

/// Feeds what wasmtime hashes into a digest that does not change with the
/// standard library.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte))
    }
}

impl CompileCache {
    /// The cache in `folder`, or none where it could not be trusted.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Option<Self> {
        if let Err(reason) = prepare(folder) {
            tracing::warn!(
                folder = %folder.display(),
                "no compile cache, components are compiled at every start: {reason}"
            );
            return None;
        }
        let mut hasher = StableHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_key = format!("{:016x}", hasher.finish());
        Some(Self { folder: folder.to_owned(), engine_key })
    }

    fn path(&self, digest: &ComponentDigest) -> PathBuf {
        self.folder.join(format!("{}-{}.compiled", hex::encode(digest), self.engine_key))
    }

    /// The compiled component, if a file for it is there and whole.
    pub(crate) fn load(&self, engine: &Engine, digest: &ComponentDigest) -> Option<Component> {
        let path = self.path(digest);
        let file = std::fs::read(&path).ok()?;
        let loaded = unseal(&file, digest)
            .ok_or_else(|| wasmtime::Error::msg("the file is damaged, or another component's"))
            .and_then(|code| deserialize(engine, code));
        match loaded {
            Ok(component) => Some(component),
            Err(reason) => {
                tracing::warn!(file = %path.display(), "compiling anew: {reason:#}");
                None
            }
        }
    }

    /// Keeps the compiled component. A failure costs the next start its
    /// time and nothing else.
    pub(crate) fn store(&self, digest: &ComponentDigest, component: &Component) {
        let path = self.path(digest);
        let write = || -> wasmtime::Result<()> {
            let code = component.serialize()?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(MAGIC)?;
            file.write_all(&seal(digest, &code))?;
            file.write_all(&code)?;
            file.persist(&path)?;
            Ok(())
        };
        if let Err(reason) = write() {
            tracing::warn!(file = %path.display(), "compiled code was not kept: {reason:#}");
        }
    }
}

/// Makes the folder, and says why it cannot be trusted if so.
fn prepare(folder: &Path) -> Result<(), String> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| error.to_string())?;
    let found = std::fs::metadata(folder).map_err(|error| error.to_string())?;
    // A file made now tells who this process is without asking the system in an
    // unsafe way.
    let probe = tempfile::NamedTempFile::new_in(folder).map_err(|error| error.to_string())?;
    let own = probe.as_file().metadata().map_err(|error| error.to_string())?.uid();
    if found.uid() != own {
        return Err("the folder belongs to another user; name one of your own".into());
    }
    if found.mode() & 0o022 != 0 {
        return Err("others can write to the folder; run `chmod go-w` on it".into());
    }
    Ok(())
}

/// What ties code to the component that it was made from.
fn seal(component: &ComponentDigest, code: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new().chain_update(component).chain_update(code).finalize().into()
}

/// The code in a file, if it is whole and was made from this component.
fn unseal<'f>(file: &'f [u8], component: &ComponentDigest) -> Option<&'f [u8]> {
    let sealed = file.strip_prefix(MAGIC)?;
    let (expected, code) = sealed.split_at_checked(DIGEST_BYTES)?;
    (seal(component, code) == expected).then_some(code)
}

/// The one unsafe step of the runtime.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` must be what `Component::serialize` gave. It comes from
    // `unseal`, which checked that it is what `store` wrote, and from a folder
    // that only this user can write to (`prepare`). wasmtime checks by itself
    // that version and settings fit.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_cut_changed_or_foreign_file_is_not_code() {
        let (component, code) = (digest(b"component"), b"native code".to_vec());
        let mut whole = MAGIC.to_vec();
        whole.extend_from_slice(&seal(&component, &code));
        whole.extend_from_slice(&code);
        assert_eq!(unseal(&whole, &component), Some(code.as_slice()));
        assert_eq!(unseal(&whole, &digest(b"another")), None);
        for length in 0..whole.len() {
            assert_eq!(unseal(&whole[..length], &component), None, "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(unseal(&changed, &component), None, "changed at {at}");
        }
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        assert!(CompileCache::open(folder.path(), &engine).is_some());
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(CompileCache::open(folder.path(), &engine).is_none());
    }
}
