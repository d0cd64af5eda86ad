//! What WASI gives a provider: clocks and random numbers, standard output and
//! error as log lines, and of folders and sockets just what was granted.
//!
//! Never: the environment, arguments, standard input, looking up names, UDP,
//! listening for connections.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use stheno_config::{FolderMode, Grants, SocketGrant};
use stheno_contracts::host::log::Level;
use wasmtime_wasi::sockets::SocketAddrUse;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::Shared;
use crate::explain::Ruling;
use crate::log::Stdio;

/// A granted folder could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("granted folder {} cannot be opened: {reason}; create it, or correct `grants.folders`", .folder.display())]
pub struct FolderError {
    folder: PathBuf,
    reason: wasmtime::Error,
}

/// The WASI context of one new instance.
pub(crate) fn context(shared: &Arc<Shared>) -> Result<WasiCtx, FolderError> {
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
    if !shared.grants.sockets().is_empty() {
        let shared = Arc::clone(shared);
        wasi.allow_tcp(true);
        wasi.socket_addr_check(move |address, purpose| {
            let allowed = may_use(shared.grants.sockets(), address, &purpose);
            if !allowed {
                tracing::warn!(
                    provider = &*shared.name,
                    %address,
                    "denied: {}", not_listed(address)
                );
            }
            Box::pin(std::future::ready(allowed))
        });
    }
    Ok(wasi.build())
}

/// What `grants.sockets` amounts to.
pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    let power = |grant: &SocketGrant| format!("connect to {} over TCP", grant.address());
    grants.sockets().iter().map(power).collect()
}

pub(crate) fn rule(grants: &Grants, address: SocketAddr) -> Ruling {
    if may_use(grants.sockets(), address, &SocketAddrUse::TcpConnect) {
        Ruling::allowed("this address is listed in `grants.sockets`")
    } else {
        Ruling::denied(not_listed(address))
    }
}

fn not_listed(address: SocketAddr) -> String {
    format!("{address} is not listed; to allow it add \"{address}\" to `grants.sockets`")
}

/// Connecting to a listed address, and binding to any local one as a client
/// does on the way.
fn may_use(granted: &[SocketGrant], address: SocketAddr, purpose: &SocketAddrUse) -> bool {
    match purpose {
        SocketAddrUse::TcpConnect => granted.iter().any(|grant| grant.address() == address),
        SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listed_address_may_be_connected_to() {
        let granted = [SocketGrant::new("127.0.0.1:6379".parse().unwrap()).unwrap()];
        let connect =
            |address: &str| may_use(&granted, address.parse().unwrap(), &SocketAddrUse::TcpConnect);
        assert!(connect("127.0.0.1:6379"));
        for other in ["127.0.0.1:6380", "127.0.0.2:6379", "[::ffff:127.0.0.1]:6379", "[::1]:6379"] {
            assert!(!connect(other), "{other}");
        }
    }

    #[test]
    fn listening_and_datagrams_are_never_allowed() {
        let address: SocketAddr = "127.0.0.1:6379".parse().unwrap();
        for purpose in [SocketAddrUse::TcpBind, SocketAddrUse::UdpBind, SocketAddrUse::TcpListen] {
            let granted = [SocketGrant::new(address).unwrap()];
            assert!(!may_use(&granted, address, &purpose));
        }
    }
}
