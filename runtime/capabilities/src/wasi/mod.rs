//! What WASI gives a provider: clocks and random numbers, standard output and
//! error as log lines, and of folders and sockets just what was granted.
//!
//! Never: the environment, arguments, standard input.

use std::path::PathBuf;
use std::sync::Arc;

use stheno_config::FolderMode;
use stheno_contracts::host::log::Level;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::log::Stdio;
use crate::{Shared, sockets};

/// A granted folder could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("granted folder {} cannot be opened: {reason}; create it, or correct `grants.folders`", .folder.display())]
pub struct FolderError {
    folder: PathBuf,
    reason: wasmtime::Error,
}

/// The WASI context of one new instance, and its sockets.
pub(crate) fn context(shared: &Arc<Shared>) -> Result<(WasiCtx, sockets::Instance), FolderError> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.wall_clock(shared.clock.clone())
        .monotonic_clock(shared.clock.clone())
        .stdout(Stdio::new(Arc::clone(shared), Level::Info))
        .stderr(Stdio::new(Arc::clone(shared), Level::Warn));
    for folder in shared.grants.folders() {
        // It is there once something was written to it, through `folders`.
        if shared.grants.are_made_on_use() && !folder.host.exists() {
            continue;
        }
        let permissions = match folder.mode {
            FolderMode::ReadOnly => FsPerms::ReadOnly,
            FolderMode::ReadWrite => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(&folder.host, folder.guest.as_str(), permissions)
            .map_err(|reason| FolderError { folder: folder.host.clone(), reason })?;
    }
    let sockets = sockets::Instance::new(shared, &mut wasi);
    Ok((wasi.build(), sockets))
}
