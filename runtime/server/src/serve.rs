//! Accepting connections, and stopping.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use stheno::Runtime;
use stheno_config::{OpenWithoutToken, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::error::ApiError;
use crate::router::{Api, router};
use crate::stall::Taken;

/// So many connections beyond the most are told so at a time, and for so long;
/// others are just closed.
const REFUSED_AT_ONCE: usize = 64;
const REFUSAL: Duration = Duration::from_secs(1);
/// What is read of a request that is refused with its connection.
const REFUSED_BYTES: u64 = 64 * 1024;
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
    let limits = Limits::new(&config);
    let app = router(Api::new(runtime, config, stopping));
    let connections = accept(listener, app, limits, shutdown).await;
    stop.send_replace(true);
    let ended = tokio::time::timeout(GRACE, connections.shutdown()).await;
    if ended.is_err() {
        tracing::warn!("requests that did not end in {} s were cut off", GRACE.as_secs());
    }
    Ok(())
}

/// What holds for all connections.
struct Limits {
    open: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    /// What those beyond the most are told.
    refusal: Arc<[u8]>,
    head: Duration,
    body: Duration,
}

impl Limits {
    fn new(config: &ServerConfig) -> Self {
        let most = config.max_connections().get();
        Self {
            open: Arc::new(Semaphore::new(most as usize)),
            refused: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
            refusal: ApiError::unavailable(format!(
                "there are {most} connections already (server.max_connections)"
            ))
            .as_message()
            .into(),
            head: config.head_timeout().get(),
            body: config.body_timeout().get(),
        }
    }

    /// Tells a client that there is no room for it, if there are not too many to be
    /// told.
    fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.refused).try_acquire_owned() else { return };
        let refusal = Arc::clone(&self.refusal);
        tokio::spawn(async move {
            let told = async {
                // An answer that comes before its question is none to some clients.
                let mut first = [0; 1_024];
                if stream.read(&mut first).await? == 0 {
                    return Ok(0);
                }
                stream.write_all(&refusal).await?;
                stream.shutdown().await?;
                // To close with something unread would take the answer back.
                let mut rest = stream.take(REFUSED_BYTES);
                tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
            };
            // Whether it heard it or not, the connection ends here.
            let _ = tokio::time::timeout(REFUSAL, told).await;
            drop(permit);
        });
    }
}

/// Serves connections until `shutdown` ends, and gives those that are open.
async fn accept(
    mut listener: TcpListener,
    app: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> GracefulShutdown {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let connections = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        // Axum's `accept` waits and tries again when descriptors run out.
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut shutdown => return connections,
            accepted = Listener::accept(&mut listener) => accepted,
        };
        let Ok(permit) = Arc::clone(&limits.open).try_acquire_owned() else {
            tracing::debug!(%peer, "refused: too many connections");
            limits.refuse(stream);
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "answers may be delayed");
        }
        let service = TowerToHyperService::new(app.clone());
        let stream = TokioIo::new(Taken::new(stream, limits.body));
        let connection = http.serve_connection(stream, service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "the connection broke");
            }
            drop(permit);
        });
    }
}
