//! Precompiled code on disk.
//!
//! Compiling a component costs about 0.1 s for a small Rust one and seconds for one
//! that carries a JavaScript or Python runtime; loading the result costs well
//! under a millisecond. Precompiled code is native code, though: whoever can
//! write the file runs in this process. So a file is used only if
//!
//! - it lies in a folder that belongs to this user and that nobody else can
//!   write to (otherwise there is no cache, and a warning says why), and the same
//!   is true of the file itself: a folder may have been open to others before;
//! - it was made from exactly these bytes by an engine with exactly these
//!   settings, which its name says;
//! - it begins with the digest of that component and its code together, so that
//!   a damaged or cut file, or one that was put in another's place, is compiled
//!   anew.
//!
//! Nothing else in Stheno takes precompiled code.
//!
//! The folder is kept small: when a file is added, those that nobody has used for
//! [`MAX_AGE`] go, and of the others, beyond [`MAX_BYTES`] together, those that
//! were used the longest ago. Several processes may do so at once. A file is read
//! whole before its code is used, so one that goes meanwhile takes nothing from
//! anybody: at worst it is compiled anew.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8; 8] = b"STHENO\x00\x02";
const DIGEST_BYTES: usize = 32;
const SUFFIX: &str = ".compiled";
/// What a file is called before it is whole.
const ASIDE: &str = ".stheno-";

/// So much is kept: some twenty components that carry a language's runtime, or
/// hundreds of small ones.
const MAX_BYTES: u64 = 1 << 30;
/// What nobody has used for so long goes.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A file that is not whole after so long was left by a process that died.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// A folder of precompiled code.
pub(crate) struct CompileCache {
    folder: PathBuf,
    engine_key: String,
    /// The user of this process.
    own: u32,
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
        let own = match prepare(folder) {
            Ok(own) => own,
            Err(reason) => {
                tracing::warn!(
                    folder = %folder.display(),
                    "no compile cache, components are compiled at every start: {reason}"
                );
                return None;
            }
        };
        let mut hasher = StableHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_key = format!("{:016x}", hasher.finish());
        Some(Self { folder: folder.to_owned(), engine_key, own })
    }

    fn path(&self, digest: &ComponentDigest) -> PathBuf {
        self.folder.join(format!("{}-{}{SUFFIX}", hex::encode(digest), self.engine_key))
    }

    /// The compiled component, if a file for it is there and whole.
    pub(crate) fn load(&self, engine: &Engine, digest: &ComponentDigest) -> Option<Component> {
        let path = self.path(digest);
        let mut file = File::open(&path).ok()?;
        let loaded = self.read(&mut file).and_then(|file| {
            unseal(&file, digest)
                .ok_or_else(|| wasmtime::Error::msg("the file is damaged, or another component's"))
                .and_then(|code| deserialize(engine, code))
        });
        match loaded {
            Ok(component) => {
                // Used now: see `sweep`. Where that cannot be noted, it goes sooner.
                let _ = file.set_modified(SystemTime::now());
                Some(component)
            }
            Err(reason) => {
                tracing::warn!(file = %path.display(), "compiling anew: {reason:#}");
                None
            }
        }
    }

    /// What is in a file that only this user can have written. Looked at through
    /// the open file, so that nobody can put another in its place meanwhile.
    fn read(&self, file: &mut File) -> wasmtime::Result<Vec<u8>> {
        let found = file.metadata()?;
        if found.uid() != self.own || found.mode() & 0o022 != 0 {
            return Err(wasmtime::Error::msg("the file belongs to, or is open to, another user"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Keeps the compiled component. A failure costs the next start its
    /// time and nothing else.
    pub(crate) fn store(&self, digest: &ComponentDigest, component: &Component) {
        let path = self.path(digest);
        let write = || -> wasmtime::Result<()> {
            let code = component.serialize()?;
            let mut file = tempfile::Builder::new().prefix(ASIDE).tempfile_in(&self.folder)?;
            file.write_all(MAGIC)?;
            file.write_all(&seal(digest, &code))?;
            file.write_all(&code)?;
            file.persist(&path)?;
            Ok(())
        };
        if let Err(reason) = write() {
            tracing::warn!(file = %path.display(), "compiled code was not kept: {reason:#}");
        }
        if let Err(reason) = sweep(&self.folder, &path, SystemTime::now(), MAX_BYTES) {
            tracing::warn!(
                folder = %self.folder.display(),
                "old compiled code was not removed: {reason}"
            );
        }
    }
}

/// Removes what is old, and then what was used the longest ago until `max_bytes`
/// are left, but never `newest`. Files of others are not touched.
fn sweep(folder: &Path, newest: &Path, now: SystemTime, max_bytes: u64) -> std::io::Result<()> {
    let mut kept = Vec::new();
    let mut bytes = 0_u64;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_whole = name.ends_with(SUFFIX);
        if !is_whole && !name.starts_with(ASIDE) {
            continue;
        }
        // Another process may have removed it by now.
        let Ok(found) = entry.metadata() else { continue };
        let used = found.modified()?;
        let idle = now.duration_since(used).unwrap_or_default();
        if path != newest && idle > if is_whole { MAX_AGE } else { LEFT_BEHIND } {
            remove(&path)?;
        } else if is_whole {
            bytes = bytes.saturating_add(found.len());
            kept.push((used, found.len(), path));
        }
    }
    kept.sort();
    for (_, length, path) in kept {
        if bytes <= max_bytes {
            break;
        }
        if path != newest {
            remove(&path)?;
            bytes = bytes.saturating_sub(length);
        }
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the folder and gives the user of this process; says why it cannot be
/// trusted if so.
fn prepare(folder: &Path) -> Result<u32, String> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| error.to_string())?;
    let found = std::fs::metadata(folder).map_err(|error| error.to_string())?;
    // A file made now tells who this process is without asking the system in an
    // unsafe way.
    let probe = tempfile::Builder::new()
        .prefix(ASIDE)
        .tempfile_in(folder)
        .map_err(|error| error.to_string())?;
    let own = probe.as_file().metadata().map_err(|error| error.to_string())?.uid();
    if found.uid() != own {
        return Err("the folder belongs to another user; name one of your own".into());
    }
    if found.mode() & 0o022 != 0 {
        return Err("others can write to the folder; run `chmod go-w` on it".into());
    }
    Ok(own)
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
    // `unseal`, which checked that it is what `store` wrote, and from a file
    // (`CompileCache::read`) in a folder (`prepare`) that only this user can
    // write to. wasmtime checks by itself
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

    /// A file of this length that was used so long ago.
    fn file(folder: &Path, name: &str, length: usize, idle: Duration) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, vec![0; length]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - idle).unwrap();
        path
    }

    #[test]
    fn what_nobody_has_used_for_long_goes_and_nothing_that_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name, idle| file(folder.path(), name, 10, idle);
        let second = Duration::from_secs(1);
        let newest = make("newest.compiled", MAX_AGE + second);
        let (old, used) =
            (make("old.compiled", MAX_AGE + second), make("used.compiled", MAX_AGE - 60 * second));
        let (left, young) =
            (make(".stheno-left", LEFT_BEHIND + second), make(".stheno-young", second));
        let (other, ahead) = (make("notes.txt", MAX_AGE * 2), make("ahead.compiled", second));
        let clock = SystemTime::now() + Duration::from_secs(3_600 * 24 * 365);
        File::options().write(true).open(&ahead).unwrap().set_modified(clock).unwrap();
        sweep(folder.path(), &newest, SystemTime::now(), MAX_BYTES).unwrap();
        for (path, stays) in [
            (newest, true),
            (old, false),
            (used, true),
            (left, false),
            (young, true),
            (other, true),
        ] {
            assert_eq!(path.exists(), stays, "{}", path.display());
        }
        // A clock that was set back must not make everything seem old.
        assert!(ahead.exists());
    }

    #[test]
    fn beyond_its_size_what_was_used_the_longest_ago_goes() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<_> = (0..5_u64)
            .map(|n| {
                let idle = Duration::from_secs(1_000 - n * 100);
                file(folder.path(), &format!("{n}.compiled"), 100, idle)
            })
            .collect();
        sweep(folder.path(), &all[0], SystemTime::now(), 300).unwrap();
        let left: Vec<_> = all.iter().map(|path| path.exists()).collect();
        assert_eq!(left, [true, false, false, true, true], "the one just written stays");
        sweep(folder.path(), &all[0], SystemTime::now(), 0).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
