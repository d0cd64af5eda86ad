//! How a connection comes about: look up, check, connect to what was checked.
//!
//! Nothing looks a name up twice. The resolver hands the connector nothing but
//! addresses that it has checked, so an answer that changes in between changes
//! nothing. A connection that is used again goes where it went before.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use stheno_config::{HttpGrant, HttpScheme};
use tokio::net::TcpStream;
use tower_service::Service;

use super::body::RequestBody;
use super::policy::names_address;
use crate::address::Class;
use crate::resolve::Resolver;
use crate::tls::{self, TlsError};

/// A client with connections of its own.
pub(super) type Pool = Client<Connect, RequestBody>;

/// The most bytes of the head of a response.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a connection may wait for its next request.
const IDLE: Duration = Duration::from_secs(30);

/// A future that has a home of its own.
pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{name} is at {address}, which is no public address{}", may_be(*.class))]
    Address { name: String, address: IpAddr, class: Class },
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("{name} cannot be looked up: {reason}")]
    Lookup { name: String, reason: io::Error },
    #[error("no connection within `connect_timeout`")]
    Timeout,
}

fn may_be(class: Class) -> &'static str {
    match class {
        Class::Private => "; to allow it add private = true to its grant",
        _ => "; it can be granted only by address: host = \"ADDRESS\"",
    }
}

/// Looks up and lets through what may be connected to.
#[derive(Clone)]
pub(super) struct Checked {
    resolver: Resolver,
    private: bool,
}

impl Checked {
    async fn addresses(self, name: String) -> Result<Vec<SocketAddr>, ConnectError> {
        let found = self.resolver.look_up(name.clone()).await;
        let found = found.map_err(|reason| ConnectError::Lookup { name: name.clone(), reason })?;
        let mut refused = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            // So that what was classed and what is dialled are one spelling.
            let address = address.to_canonical();
            match Class::of(address) {
                Class::Public => allowed.push(SocketAddr::new(address, 0)),
                Class::Private if self.private => allowed.push(SocketAddr::new(address, 0)),
                class => refused = Some((address, class)),
            }
        }
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some((address, class)) => Err(ConnectError::Address { name, address, class }),
            None => Err(ConnectError::NoAddress(name)),
        }
    }
}

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectError;
    type Future = Boxed<Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (checked, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move { checked.addresses(name).await.map(Vec::into_iter) })
    }
}

/// Connects within the time that the grant allows.
#[derive(Clone)]
pub(super) struct Connect {
    inner: HttpsConnector<HttpConnector<Checked>>,
    within: Duration,
}

impl Service<Uri> for Connect {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Boxed<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, within) = (self.inner.call(uri), self.within);
        Box::pin(async move {
            match tokio::time::timeout(within, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectError::Timeout.into()),
            }
        })
    }
}

/// The client of one grant.
pub(super) async fn pool(grant: &HttpGrant, resolver: Resolver) -> Result<Pool, TlsError> {
    let tls = match grant.scheme {
        HttpScheme::Http => tls::trusting_nobody()?,
        HttpScheme::Https => tls::trusting(grant.ca.clone()).await?,
    };
    let private = grant.private || names_address(grant);
    let mut tcp = HttpConnector::new_with_resolver(Checked { resolver, private });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let tls = HttpsConnectorBuilder::new().with_tls_config(tls);
    let tls = match grant.scheme {
        HttpScheme::Https => tls.https_only(),
        HttpScheme::Http => tls.https_or_http(),
    };
    let connect = Connect {
        inner: tls.enable_http1().wrap_connector(tcp),
        within: grant.connect_timeout.get(),
    };
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_max_buf_size(HEAD_BYTES)
        .build(connect))
}
