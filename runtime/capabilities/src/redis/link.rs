//! Connections to one server.
//!
//! Nearly everything goes over one connection that all share: what many ask for
//! at the same time is sent together. What waits on the server, or watches keys,
//! needs a connection for itself; of those there are a few. A connection that
//! failed, or that somebody left in the middle, is thrown away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError};
use stheno_config::{RedisGrant, RedisServerAddress, format_duration};
use stheno_contracts::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::meter::Meter;
use crate::metered::{Metered, TooLarge};

/// How long after a failed attempt nobody tries to connect: at first, and at
/// most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One open connection.
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    driver: JoinHandle<()>,
    received: Arc<AtomicU64>,
    dead: AtomicBool,
    /// What the server calls the scripts that it was given over this connection,
    /// by their SHA-256.
    pub(super) scripts: Mutex<HashMap<String, String>>,
}

impl Live {
    /// Whether nothing more will come of it.
    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed) || self.driver.is_finished()
    }

    pub(super) fn bury(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// The bytes that have come in.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The connections of one binding.
pub(super) struct Link {
    info: RedisConnectionInfo,
    server: RedisServerAddress,
    /// Where the server is, for errors.
    shown: String,
    max_bytes: u64,
    timeout: Duration,
    shared: RwLock<Option<Arc<Live>>>,
    /// Held while the shared connection is made, and when it may be tried again.
    pause: tokio::sync::Mutex<Pause>,
    idle: Mutex<Vec<Arc<Live>>>,
    alone: Arc<Semaphore>,
}

#[derive(Default)]
struct Pause {
    length: Duration,
    until: Option<Instant>,
    reason: String,
}

/// A connection that nobody else uses. It goes back with [`Link::give_back`];
/// dropped, it is closed.
pub(super) struct Alone {
    pub(super) live: Arc<Live>,
    _permit: OwnedSemaphorePermit,
}

impl Link {
    pub(super) fn new(grant: &RedisGrant) -> Self {
        let url = &grant.url;
        let mut info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(i64::from(url.database()))
            // A user who may do only what is needed may not name a library.
            .set_skip_set_lib_name();
        if let Some(user) = url.user() {
            info = info.set_username(user);
        }
        if let Some(password) = url.password() {
            info = info.set_password(password.expose_secret());
        }
        Self {
            info,
            server: url.server().clone(),
            shown: url.to_string(),
            max_bytes: grant.max_bytes.get().as_u64(),
            timeout: grant.timeout.get(),
            shared: RwLock::new(None),
            pause: tokio::sync::Mutex::default(),
            idle: Mutex::default(),
            alone: Arc::new(Semaphore::new(grant.connections.get() as usize)),
        }
    }

    fn open(&self) -> Option<Arc<Live>> {
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        shared.as_ref().filter(|live| !live.is_dead()).map(Arc::clone)
    }

    /// The connection that all share; made if need be. After a failure nobody
    /// tries for a while, and callers are told at once.
    pub(super) async fn shared(&self) -> Result<Arc<Live>, Error> {
        if let Some(live) = self.open() {
            return Ok(live);
        }
        let mut pause = self.pause.lock().await;
        if let Some(live) = self.open() {
            return Ok(live);
        }
        if pause.until.is_some_and(|until| Instant::now() < until) {
            return Err(Error::Unavailable(pause.reason.clone()));
        }
        match self.connect().await {
            Ok(live) => {
                let live = Arc::new(live);
                *self.shared.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::clone(&live));
                *pause = Pause::default();
                Ok(live)
            }
            Err(error) => {
                let length = (pause.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                let until = Some(Instant::now() + length);
                *pause = Pause { length, until, reason: error.message().to_owned() };
                Err(error)
            }
        }
    }

    /// A connection for one call.
    pub(super) async fn alone(&self) -> Result<Alone, Error> {
        let permit = Arc::clone(&self.alone).acquire_owned().await;
        let permit = permit.map_err(|_| Error::Unavailable("the host is stopping".into()))?;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(live) if live.is_dead() => {}
                Some(live) => return Ok(Alone { live, _permit: permit }),
                None => break,
            }
        }
        let live = Arc::new(self.connect().await?);
        Ok(Alone { live, _permit: permit })
    }

    /// Takes one back that is as good as new.
    pub(super) fn give_back(&self, alone: Alone) {
        if !alone.live.is_dead() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(alone.live);
        }
    }

    async fn connect(&self) -> Result<Live, Error> {
        // Whoever waits for this gives up at the timeout; the attempt has to end
        // before that, or its failure would be noted by nobody.
        let limit = self.timeout - self.timeout / 8;
        let connect = async {
            match &self.server {
                RedisServerAddress::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    self.set_up(stream).await
                }
                RedisServerAddress::Unix(path) => {
                    self.set_up(UnixStream::connect(path).await?).await
                }
            }
        };
        match tokio::time::timeout(limit, connect).await {
            Ok(Ok(live)) => Ok(live),
            Ok(Err(error)) => Err(self.cannot(&error)),
            Err(_) => Err(Error::Unavailable(format!(
                "{} did not take the connection within {}",
                self.shown,
                format_duration(limit)
            ))),
        }
    }

    async fn set_up<S>(&self, stream: S) -> Result<Live, RedisError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let received = Arc::new(AtomicU64::new(0));
        let stream = Metered::new(stream, Meter::new(self.max_bytes), Arc::clone(&received));
        // Deadlines are the caller's: one command may wait longer than another.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(512);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&self.info, stream, config).await?;
        Ok(Live {
            connection,
            driver: tokio::spawn(driver),
            received,
            dead: AtomicBool::new(false),
            scripts: Mutex::default(),
        })
    }

    fn cannot(&self, error: &RedisError) -> Error {
        let shown = &self.shown;
        match error.code() {
            Some("WRONGPASS" | "NOAUTH" | "NOPERM") => {
                Error::Unavailable(format!("{shown} does not take the user and password of `url`"))
            }
            _ if matches!(error.kind(), ErrorKind::AuthenticationFailed) => {
                Error::Unavailable(format!("{shown} does not take the user and password of `url`"))
            }
            _ => Error::Unavailable(format!("{shown} cannot be reached: {}", plain(error))),
        }
    }

    /// What an error of a connection means to those who waited on it.
    pub(super) fn broke(&self, live: &Live, error: &RedisError) -> Error {
        live.bury();
        if error.to_string().contains(TooLarge::TEXT) {
            return Error::Unavailable(format!(
                "{}, {} bytes; ask for less at a time, or raise it",
                TooLarge::TEXT,
                self.max_bytes
            ));
        }
        Error::Unavailable(format!(
            "the connection to {} broke, and what was sent may or may not have been done: {}",
            self.shown,
            plain(error)
        ))
    }
}

/// The text of an error, in one line.
fn plain(error: &RedisError) -> String {
    crate::one_line(error.to_string().trim())
}
