//! Connections to one database.
//!
//! Each call has a connection for itself while it lasts; there are a few, and who
//! finds none free waits. A new one is set up as the grant says, before anyone uses
//! it, and looked at again later: the role, the schema and all else that was set must be
//! what they were. A
//! connection that failed, or that somebody left in the middle, is thrown away, and
//! the server is told to stop what it does there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use stheno_config::{SqlGrant, SqlServerAddress, format_duration};
use stheno_contracts::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Statement};
use tokio_rustls::TlsConnector;

use super::described::{self, Described, Told};
use super::meter::Meter;
use super::refusal::{Failed, refusal};
use super::role;
use crate::metered::{Metered, TooLarge};
use crate::{one_line, tls};

/// How long after a failed attempt nobody tries to connect: at first, and at
/// most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a connection is used before it is looked at again.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How long the server may take to hear that it should stop.
const CANCEL_WITHIN: Duration = Duration::from_secs(2);
/// How long it is given to do so before it is told again.
const CANCEL_AGAIN: Duration = Duration::from_millis(50);
/// The most statements that the server keeps for one connection.
const KEPT_STATEMENTS: usize = 256;
/// What asks for TLS, before anything else is said.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A way to the server, before PostgreSQL is spoken on it.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A statement that the server keeps, with the types that it has there.
pub(super) struct Prepared {
    pub(super) statement: Statement,
    pub(super) parameters: Vec<Type>,
    pub(super) columns: Vec<Type>,
}

/// One open connection.
pub(super) struct Live {
    pub(super) client: Client,
    driver: JoinHandle<()>,
    /// Why it ended.
    ended: Arc<OnceLock<String>>,
    /// What the server keeps, by its text.
    statements: HashMap<String, Arc<Prepared>>,
    /// The types of the one that it described last.
    told: Told,
    /// The session as it was set up, and when that was last seen.
    session: String,
    looked: Instant,
}

impl Live {
    fn is_dead(&self) -> bool {
        self.driver.is_finished() || self.client.is_closed()
    }

    /// What an error of the client means.
    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> Failed {
        if let Some(error) = error.as_db_error() {
            return refusal(error);
        }
        match self.ended.get() {
            Some(reason) if reason.contains(TooLarge::TEXT) => {
                Failed::Broken(Error::InvalidArgument(
                    "a row is larger than max_bytes; ask for less, or raise it".into(),
                ))
            }
            reason => {
                let reason = reason.cloned().unwrap_or_else(|| plain(error));
                Failed::Broken(Error::Unavailable(format!(
                    "the connection broke, and what was sent may or may not have been done: \
                     {reason}"
                )))
            }
        }
    }

    /// The statement as the server keeps it.
    pub(super) async fn prepared(&mut self, text: &str) -> Result<Arc<Prepared>, Failed> {
        if let Some(prepared) = self.statements.get(text) {
            return Ok(Arc::clone(prepared));
        }
        let prepared = self.client.prepare(text).await;
        let statement = prepared.map_err(|error| self.failed(&error))?;
        let types = described::types(&self.client, &self.told.take()).await;
        let (parameters, columns) = types.map_err(|error| self.failed(&error))?;
        if self.statements.len() >= KEPT_STATEMENTS {
            self.statements.clear();
        }
        let prepared = Arc::new(Prepared { statement, parameters, columns });
        self.statements.insert(text.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// The session as it is now: see [`role::SESSION`].
    pub(super) async fn session(&mut self) -> Result<String, Failed> {
        let prepared = self.prepared(role::SESSION).await?;
        let row = self.client.query_one(&prepared.statement, &[]).await;
        let row = row.map_err(|error| self.failed(&error))?;
        Ok(row.try_get(0).unwrap_or_default())
    }

    /// Sees to it that the session is what it was set up as.
    pub(super) async fn look(&mut self) -> Result<(), Failed> {
        if self.session().await? != self.session {
            return Err(changed());
        }
        self.looked = Instant::now();
        Ok(())
    }
}

/// The session is not what it was.
pub(super) fn changed() -> Failed {
    Failed::Broken(Error::Internal(
        "somebody changed the role, the schema or a setting of a connection; it is thrown away"
            .into(),
    ))
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The connections of one binding.
pub(super) struct Link {
    grant: SqlGrant,
    provider: String,
    config: Config,
    /// Where the database is, for errors.
    shown: String,
    tls: OnceCell<Arc<ClientConfig>>,
    pause: Mutex<Pause>,
    idle: Mutex<Vec<Live>>,
    permits: Arc<Semaphore>,
    warned: AtomicBool,
}

#[derive(Default)]
struct Pause {
    length: Duration,
    until: Option<Instant>,
    reason: String,
}

/// A connection that nobody else uses. It goes back when this is dropped, if it was
/// settled; or else it is closed, and the server stops what it does there.
pub(super) struct Lease {
    live: Option<Live>,
    link: Arc<Link>,
    settled: bool,
    /// None once it was given up.
    permit: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// The connection, for something that may be left in the middle.
    pub(super) fn open(&mut self) -> Result<&mut Live, Failed> {
        self.settled = false;
        let gone = || Failed::Broken(Error::Unavailable("the connection is gone".into()));
        self.live.as_mut().ok_or_else(gone)
    }

    #[cfg(test)]
    pub(super) fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// What was begun has ended, so that somebody else may have the connection.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    /// As [`Lease::settle`], if the connection is of use after that.
    pub(super) fn settle_after<T>(&mut self, result: Result<T, Failed>) -> Result<T, Error> {
        if !matches!(result, Err(Failed::Broken(_))) {
            self.settle();
        }
        Ok(result?)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(live) = self.live.take() else { return };
        if live.is_dead() {
            return;
        }
        if self.settled {
            self.link.idle.lock().unwrap_or_else(PoisonError::into_inner).push(live);
        } else if let Ok(runtime) = Handle::try_current() {
            // It counts until it is closed.
            let (link, permit) = (Arc::clone(&self.link), self.permit.take());
            runtime.spawn(async move {
                let _ = tokio::time::timeout(CANCEL_WITHIN, link.stop(&live)).await;
                drop((live, permit));
            });
        }
    }
}

impl Link {
    pub(super) fn new(provider: &str, grant: &SqlGrant) -> Self {
        let url = &grant.url;
        let mut config = Config::new();
        config.user(url.user()).dbname(url.database()).application_name("stheno");
        // It is made before: see `wire`.
        config.ssl_mode(SslMode::Disable);
        if let Some(password) = url.password() {
            config.password(password.expose_secret());
        }
        Self {
            provider: provider.to_owned(),
            config,
            shown: url.to_string(),
            tls: OnceCell::new(),
            pause: Mutex::default(),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(grant.connections.get() as usize)),
            warned: AtomicBool::new(false),
            grant: grant.clone(),
        }
    }

    /// A connection for one call or transaction. After a failure to connect nobody
    /// tries for a while, and callers are told at once.
    pub(super) async fn borrow(self: &Arc<Self>) -> Result<Lease, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Error::Unavailable("the host is stopping".into()))?;
        let mut lease =
            Lease { live: None, link: Arc::clone(self), settled: true, permit: Some(permit) };
        loop {
            lease.live = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match &lease.live {
                None => break,
                Some(live) if live.is_dead() => {}
                Some(live) if live.looked.elapsed() < TRUSTED_FOR => return Ok(lease),
                Some(_) => {
                    let looked = lease.open()?.look().await;
                    match lease.settle_after(looked) {
                        Ok(()) => return Ok(lease),
                        // Nothing of the call was sent, so another one may serve.
                        Err(error) => tracing::debug!(%error, "an idle connection was no good"),
                    }
                }
            }
        }
        {
            let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            if pause.until.is_some_and(|until| Instant::now() < until) {
                return Err(Error::Unavailable(pause.reason.clone()));
            }
        }
        let made = self.connect().await;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(live) => {
                *pause = Pause::default();
                lease.live = Some(live);
                Ok(lease)
            }
            Err(error) => {
                let length = (pause.length * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                let until = Some(Instant::now() + length);
                *pause = Pause { length, until, reason: error.message().to_owned() };
                Err(error)
            }
        }
    }

    /// Tells the server to stop what it does on a connection, until it has. What was
    /// sent last may reach it after it was told, so once is not enough.
    async fn stop(&self, live: &Live) {
        let token = live.client.cancel_token();
        // It is answered once all before it has ended.
        let mut quiet = std::pin::pin!(live.client.batch_execute(""));
        loop {
            if let Ok(wire) = self.wire().await {
                let _ = token.cancel_query_raw(wire, NoTls).await;
            }
            if tokio::time::timeout(CANCEL_AGAIN, &mut quiet).await.is_ok() {
                return;
            }
        }
    }

    /// Closes what nobody uses: the server has gone without a word.
    pub(super) fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn connect(&self) -> Result<Live, Error> {
        // Whoever waits for this gives up at the timeout; the attempt has to end
        // before that, or its failure would be noted by nobody.
        let limit = self.grant.statement_timeout.get();
        let connect = async {
            let wire = self.wire().await?;
            self.set_up(wire).await
        };
        tokio::time::timeout(limit, connect).await.unwrap_or_else(|_| {
            Err(Error::Unavailable(format!(
                "{} did not take the connection within {}",
                self.shown,
                format_duration(limit)
            )))
        })
    }

    /// A way to the server, encrypted if it is to be.
    async fn wire(&self) -> Result<Box<dyn Wire>, Error> {
        let unreachable = |error: &dyn std::fmt::Display| {
            let reason = one_line(&error.to_string());
            Error::Unavailable(format!("{} cannot be reached: {reason}", self.shown))
        };
        let (host, port) = match self.grant.url.server() {
            SqlServerAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                return Ok(Box::new(stream.map_err(|error| unreachable(&error))?));
            }
            SqlServerAddress::Tcp { host, port } => (host, *port),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await;
        let mut stream = stream.map_err(|error| unreachable(&error))?;
        stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
        if !self.grant.url.tls() {
            return Ok(Box::new(stream));
        }
        let trusted = self
            .tls
            .get_or_try_init(|| async { tls::trusting(self.grant.ca.clone()).await.map(Arc::new) });
        let trusted = trusted.await.map_err(|error| Error::Unavailable(error.to_string()))?;
        let name = ServerName::try_from(host.clone()).map_err(|error| unreachable(&error))?;
        let mut answer = [0];
        let asked = async {
            stream.write_all(&TLS_REQUEST).await?;
            stream.read_exact(&mut answer).await
        };
        asked.await.map_err(|error| unreachable(&error))?;
        if answer != *b"S" {
            return Err(Error::Unavailable(format!(
                "{} does not offer TLS; if the network to it is private, write \
                 ?sslmode=disable at the end of `url`",
                self.shown
            )));
        }
        let stream = TlsConnector::from(Arc::clone(trusted)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| unreachable(&error))?))
    }

    async fn set_up(&self, wire: Box<dyn Wire>) -> Result<Live, Error> {
        let meter = Meter::new(self.grant.max_bytes.get().as_u64());
        let told = Told::default();
        let metered = Metered::new(wire, meter, Arc::default());
        let described = Described::new(metered, told.clone());
        let connected = self.config.connect_raw(described, NoTls).await;
        let (client, mut connection) = connected.map_err(|error| self.cannot(&error))?;
        let ended = Arc::new(OnceLock::new());
        let driver = tokio::spawn({
            let ended = Arc::clone(&ended);
            async move {
                if let Err(error) = (&mut connection).await {
                    // Before the connection is dropped, which tells who waits.
                    let _ = ended.set(plain(&error));
                }
                drop(connection);
            }
        });
        let mut live = Live {
            client,
            driver,
            ended,
            statements: HashMap::new(),
            told,
            session: String::new(),
            looked: Instant::now(),
        };
        let made = live.client.batch_execute(&role::session(&self.grant)).await;
        made.map_err(|error| self.cannot(&error))?;
        let seen = live.client.query_one(role::LOOK_AT_SESSION, &[]).await;
        let seen = seen.map_err(|error| self.cannot(&error))?;
        let text = |at| seen.try_get::<_, Option<String>>(at).ok().flatten().unwrap_or_default();
        let schema = self.grant.schema.as_str();
        if text(1) != schema {
            return Err(Error::Unavailable(format!(
                "{} has no schema {schema:?}, or the role may not use it; `stheno acl` prints \
                 what makes them",
                self.shown
            )));
        }
        if !text(2).is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                provider = self.provider,
                database = self.shown,
                role = text(0),
                may = text(2),
                "the role of an SQL binding may do more than its schema needs; `stheno acl` \
                 prints what makes one that may not"
            );
        }
        live.session = live.session().await?;
        Ok(live)
    }

    fn cannot(&self, error: &tokio_postgres::Error) -> Error {
        let shown = &self.shown;
        match error.code().map(tokio_postgres::error::SqlState::code) {
            Some("28000" | "28P01") => {
                Error::Unavailable(format!("{shown} does not take the user and password of `url`"))
            }
            Some("3D000") => Error::Unavailable(format!("{shown} is a database that is not there")),
            Some("22023" | "42704" | "42501") => Error::Unavailable(format!(
                "{shown} has no role {:?}, or the user of `url` may not take it on; `stheno acl` \
                 prints what makes it",
                self.grant.acts_as()
            )),
            _ => Error::Unavailable(format!("{shown} cannot be reached: {}", plain(error))),
        }
    }
}

/// The text of an error and of its cause, in one line.
fn plain(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    let text = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    one_line(&text)
}
