//! Accepting connections, and stopping.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use stheno::Runtime;
use stheno_config::{OpenWithoutToken, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::router::{Api, router};

/// How long a client may take to send the head of a request; after it the
/// connection is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests may go on once the server is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Why the server does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener can be reached by others and there is no token.
    #[error(transparent)]
    Open(#[from] OpenWithoutToken),
    /// The listener has no address.
    #[error("the listener cannot be used: {0}")]
    Listener(#[from] io::Error),
}

/// Answers requests on `listener` until `shutdown` ends.
///
/// Then it accepts no more connections, ends what waits for events (a long poll
/// answers with what it has, a watch closes), and returns when every request is
/// answered, or after ten seconds. The runtime is still running then.
///
/// # Errors
///
/// When others can reach the listener and `config` has no token. Whatever goes
/// wrong with one connection ends that connection.
pub async fn serve(
    listener: TcpListener,
    runtime: Runtime,
    config: ServerConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    // The config speaks of the address that was wished for; what counts is
    // where the listener is.
    let config = config.with_listen(listener.local_addr()?)?;
    runtime.files().served_at(&format!("http://{}", config.listen()));
    let (stop, stopping) = watch::channel(false);
    let app = router(Api::new(runtime, config, stopping));
    let connections = accept(listener, app, shutdown).await;
    stop.send_replace(true);
    let ended = tokio::time::timeout(GRACE, connections.shutdown()).await;
    if ended.is_err() {
        tracing::warn!("requests that did not end in {} s were cut off", GRACE.as_secs());
    }
    Ok(())
}

/// Serves connections until `shutdown` ends, and gives those that are open.
async fn accept(
    mut listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()>,
) -> GracefulShutdown {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connections = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        // Axum's `accept` waits and tries again when descriptors run out.
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => return connections,
            accepted = Listener::accept(&mut listener) => accepted,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "answers may be delayed");
        }
        let service = TowerToHyperService::new(app.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "the connection broke");
            }
        });
    }
}
