//! Components that the recipe `guests` has built.

use std::path::{Path, PathBuf};

/// The file of the guest called `name`, such as `cache-memory`.
///
/// # Panics
///
/// When it is not built; the message names the recipe.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dist/guests")
        .join(name)
        .with_extension("wasm");
    file.canonicalize().unwrap_or_else(|error| {
        panic!("the guest {name} cannot be found ({error}); run `./justw guests` first")
    })
}

/// The component called `name`, binary.
///
/// # Panics
///
/// When it is not built or cannot be read.
#[must_use]
pub fn guest_bytes(name: &str) -> Vec<u8> {
    let file = guest(name);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The compile cache that all suites share, so that each guest is compiled once
/// however many tests load it. `tmpdir` is `env!("CARGO_TARGET_TMPDIR")`, which
/// cargo sets for tests and not for this crate.
#[must_use]
pub fn compile_cache(tmpdir: &str) -> PathBuf {
    Path::new(tmpdir).join("compile-cache")
}
