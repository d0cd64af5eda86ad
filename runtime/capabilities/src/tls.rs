//! TLS as a grant wants it: whom to trust, checked by `rustls` on `ring`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// TLS cannot be had as the grant wants it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("`ca` of the grant, {}, cannot be read: {reason}", .file.display())]
    Ca { file: PathBuf, reason: rustls::pki_types::pem::Error },
    #[error("`ca` of the grant, {}, holds no certificate", .0.display())]
    EmptyCa(PathBuf),
    #[error(
        "this system has no certificates to trust; install its package of them (`ca-certificates`), point SSL_CERT_FILE to a file of them, or write `ca` in the grant"
    )]
    NoRoots,
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("the host is stopping")]
    Stopping,
}

/// A client that trusts the certificates in the file, or else the system's.
pub(crate) async fn trusting(ca: Option<PathBuf>) -> Result<ClientConfig, TlsError> {
    // Some hundred files on some systems.
    let roots = tokio::task::spawn_blocking(move || match ca {
        Some(file) => roots_in(&file),
        None => roots_of_the_system(),
    });
    client(roots.await.map_err(|_| TlsError::Stopping)??)
}

/// A client that trusts nobody: for where there is no TLS.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    client(RootCertStore::empty())
}

fn client(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    // Named here, so that no other crate's choice of a provider matters.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn roots_in(file: &Path) -> Result<RootCertStore, TlsError> {
    let unreadable = |reason| TlsError::Ca { file: file.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    if roots.is_empty() { Err(TlsError::EmptyCa(file.to_owned())) } else { Ok(roots) }
}

fn roots_of_the_system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Systems carry some that nobody can read; the others serve.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}
