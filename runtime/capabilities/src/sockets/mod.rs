//! TCP to what `grants.sockets` lists, and looking up the names in it.
//!
//! `wasi:sockets` lets a guest look a name up and connect to what it likes. Here a
//! name is looked up only if it is listed, and what can be connected to is what is
//! listed as an address, or what this host told this very instance of a listed name,
//! on the port that is listed with it. So no answer of a name server leads further
//! than the operator wrote: an address that is no public one is not told, unless the
//! grant says `private`, and one that was never told is not connected to.
//!
//! Lookups go through [`Resolver`], which bounds how many threads they hold.
//!
//! Never: UDP, listening. Does not belong here: HTTP, which has connections of its
//! own.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use stheno_config::{Grants, HttpHost, SocketGrant};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};
use wasmtime_wasi::runtime::{self, AbortOnDropJoinHandle};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};
use wasmtime_wasi::{WasiCtxBuilder, WasiCtxView, async_trait};

use crate::address::Class;
use crate::explain::Ruling;
use crate::resolve::Resolver;
use crate::{Capabilities, Shared};

/// How many addresses of names one instance may have been told. The oldest is
/// forgotten, and must be looked up again.
const REMEMBERED: usize = 256;

/// Where the listed names led, as the instance was told.
#[derive(Clone, Default)]
struct Found(Arc<Mutex<VecDeque<SocketAddr>>>);

impl Found {
    fn add(&self, address: SocketAddr) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.contains(&address) {
            return;
        }
        if found.len() == REMEMBERED {
            found.pop_front();
        }
        found.push_back(address);
    }

    fn has(&self, address: SocketAddr) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }
}

/// What one instance has looked up.
#[derive(Default)]
pub(crate) struct Instance {
    found: Found,
}

/// A lookup, in the place of that of WASI, which is bounded by nothing.
pub(crate) struct Lookup {
    /// The name, of whose addresses not all may be told; none for an address.
    name: Option<HttpHost>,
    progress: Progress,
    /// Some address was told.
    told: bool,
    /// Some address was not.
    refused: bool,
}

enum Progress {
    Waiting(AbortOnDropJoinHandle<io::Result<Vec<IpAddr>>>),
    Done(Result<std::vec::IntoIter<IpAddr>, ErrorCode>),
}

impl Lookup {
    fn new(host: HttpHost, resolver: &Resolver) -> Self {
        let (name, progress) = match host {
            HttpHost::Address(ip) => (None, Progress::Done(Ok(vec![ip].into_iter()))),
            HttpHost::Name(ref name) => {
                // As it was compared, and not as the guest wrote it.
                let (resolver, asked) = (resolver.clone(), name.as_str().to_owned());
                let looking = async move { resolver.look_up(asked).await };
                (Some(host), Progress::Waiting(runtime::spawn(looking)))
            }
        };
        Self { name, progress, told: false, refused: false }
    }

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Progress::Waiting(looking) = &mut self.progress {
            let found = ready!(Pin::new(looking).poll(context));
            self.progress =
                Progress::Done(found.map(Vec::into_iter).map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => ErrorCode::TemporaryResolverFailure,
                    _ => ErrorCode::NameUnresolvable,
                }));
        }
        Poll::Ready(())
    }

    fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        let Poll::Ready(()) = self.poll_done(&mut Context::from_waker(Waker::noop())) else {
            return Err(ErrorCode::WouldBlock);
        };
        match &mut self.progress {
            Progress::Done(Ok(found)) => Ok(found.next().map(|ip| ip.to_canonical())),
            Progress::Done(Err(error)) => Err(*error),
            Progress::Waiting(_) => Err(ErrorCode::WouldBlock),
        }
    }

    /// Gives it up: the call is over.
    pub(crate) fn end(&mut self) {
        self.progress = Progress::Done(Err(ErrorCode::TemporaryResolverFailure));
    }
}

#[async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll_done(context)).await;
    }
}

/// The same handle, as the table knows it.
fn lookup_of(stream: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
    Resource::new_borrow(stream.rep())
}

impl Instance {
    /// Gives a new instance the sockets that it was granted.
    pub(crate) fn new(shared: &Arc<Shared>, wasi: &mut WasiCtxBuilder) -> Self {
        let instance = Self::default();
        if shared.grants.sockets().is_empty() {
            return instance;
        }
        wasi.allow_tcp(true);
        let (shared, found) = (Arc::clone(shared), instance.found.clone());
        wasi.socket_addr_check(move |address, purpose| {
            let allowed = may_use(shared.grants.sockets(), &found, address, purpose);
            if !allowed {
                shared.denials.sockets.add(&not_listed(&address.to_string()));
            }
            Box::pin(std::future::ready(allowed))
        });
        instance
    }
}

/// Connecting to what is listed, or to where a listed name led; and binding to any
/// local address as a client does on the way.
fn may_use(
    granted: &[SocketGrant],
    found: &Found,
    address: SocketAddr,
    purpose: SocketAddrUse,
) -> bool {
    match purpose {
        SocketAddrUse::TcpConnect => {
            granted.iter().any(|grant| grant.address() == Some(address)) || found.has(address)
        }
        SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
        _ => false,
    }
}

/// The listed ports of a host; none if it is not listed.
fn ports<'g>(granted: &'g [SocketGrant], host: &HttpHost) -> impl Iterator<Item = &'g SocketGrant> {
    granted.iter().filter(move |grant| match host {
        HttpHost::Name(name) => grant.name() == Some(name),
        HttpHost::Address(ip) => grant.address().is_some_and(|address| address.ip() == *ip),
    })
}

impl Capabilities {
    fn network(&mut self) -> WasiSocketsCtxView<'_> {
        let WasiCtxView { ctx, table } = self.wasi();
        WasiSocketsCtxView { ctx: ctx.sockets(), table }
    }

    /// Whether the instance may be told where the name is.
    fn may_be_told(&self, name: &HttpHost, ip: IpAddr) -> Result<(), String> {
        let (mut told, mut help) = (false, String::new());
        // One of its ports may be granted further than another.
        for grant in ports(self.shared.grants.sockets(), name) {
            match Class::of(ip) {
                Class::Private if !grant.may_be_private() => {
                    help = format!(
                        "; to allow it write {{ to = \"{grant}\", private = true }} in \
                         `grants.sockets`"
                    );
                }
                Class::Special => "; it can be granted only as an address".clone_into(&mut help),
                Class::Public | Class::Private => {
                    self.sockets.found.add(SocketAddr::new(ip, grant.port()));
                    told = true;
                }
            }
        }
        match told {
            true => Ok(()),
            false => Err(format!("{name} is at {ip}, which is no public address{help}")),
        }
    }
}

impl Host for Capabilities {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        self.table.get(&network)?;
        // A bare IPv6 address is one for WASI, and has brackets in grants.
        let host = match name.parse::<IpAddr>() {
            Ok(ip) => Ok(HttpHost::Address(ip.to_canonical())),
            Err(_) => HttpHost::parse(&name),
        };
        let listed = host
            .as_ref()
            .is_ok_and(|host| ports(self.shared.grants.sockets(), host).next().is_some());
        let Some(host) = host.ok().filter(|_| listed) else {
            self.shared.denials.sockets.add(&not_looked_up(&name));
            return Err(ErrorCode::AccessDenied.into());
        };
        let lookup = Lookup::new(host, &self.shared.resolver);
        let handle = self.table.push(lookup)?;
        Ok(Resource::new_own(handle.rep()))
    }
}

impl HostResolveAddressStream for Capabilities {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let handle = lookup_of(&stream);
        loop {
            let lookup = self.table.get_mut(&handle)?;
            let Some(found) = lookup.next()? else {
                let nothing = lookup.refused && !lookup.told;
                return if nothing { Err(ErrorCode::AccessDenied.into()) } else { Ok(None) };
            };
            let Some(name) = lookup.name.clone() else {
                return Ok(Some(found.into()));
            };
            let verdict = self.may_be_told(&name, found);
            let lookup = self.table.get_mut(&handle)?;
            lookup.told |= verdict.is_ok();
            lookup.refused |= verdict.is_err();
            match verdict {
                Ok(()) => return Ok(Some(found.into())),
                Err(why) => self.shared.denials.sockets.add(&why),
            }
        }
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, lookup_of(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}

// What the other two need; as WASI has it.
impl network::Host for Capabilities {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.network().convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.network().network_error_code(error)
    }
}

impl network::HostNetwork for Capabilities {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.network(), network)
    }
}

/// What `grants.sockets` amounts to.
pub(crate) fn powers(grants: &Grants) -> Vec<String> {
    let power = |grant: &SocketGrant| match grant.name() {
        None => format!("connect to {grant} over TCP"),
        Some(_) if grant.may_be_private() => format!(
            "connect to {grant} over TCP, also where that is this machine or a private network"
        ),
        Some(_) => format!("connect to {grant} over TCP, where that is a public address"),
    };
    grants.sockets().iter().map(power).collect()
}

/// What would become of connecting there.
pub(crate) fn rule(grants: &Grants, asked: &SocketGrant) -> Ruling {
    let listed = |grant: &&SocketGrant| {
        (grant.address(), grant.name(), grant.port())
            == (asked.address(), asked.name(), asked.port())
    };
    match grants.sockets().iter().find(listed) {
        None => Ruling::denied(not_listed(&asked.to_string())),
        Some(grant) if grant.name().is_none() || grant.may_be_private() => {
            Ruling::allowed("it is listed in `grants.sockets`")
        }
        Some(_) => Ruling::allowed(
            "it is listed in `grants.sockets`; if its name leads into a private network, it is \
             refused then",
        ),
    }
}

fn not_listed(to: &str) -> String {
    format!("{to} is not listed; to allow it add \"{to}\" to `grants.sockets`")
}

fn not_looked_up(name: &str) -> String {
    format!(
        "{name:?} is not looked up, since it is not listed; to allow it add its HOST:PORT to \
         `grants.sockets`"
    )
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::bindings::sockets::instance_network;

    use super::*;
    use crate::resolve::Names;
    use crate::resolve::tests::{Released, Silent};

    fn listed(text: &str) -> Vec<SocketGrant> {
        vec![SocketGrant::parse(text).unwrap()]
    }

    #[test]
    fn only_a_listed_address_may_be_connected_to() {
        let granted = listed("127.0.0.1:6379");
        let found = Found::default();
        let connect = |address: &str| {
            may_use(&granted, &found, address.parse().unwrap(), SocketAddrUse::TcpConnect)
        };
        assert!(connect("127.0.0.1:6379"));
        for other in ["127.0.0.1:6380", "127.0.0.2:6379", "[::ffff:127.0.0.1]:6379", "[::1]:6379"] {
            assert!(!connect(other), "{other}");
        }
    }

    #[test]
    fn where_a_name_led_may_be_connected_to_once_it_was_told() {
        let granted = listed("cache.example:6379");
        let found = Found::default();
        let address: SocketAddr = "203.0.112.1:6379".parse().unwrap();
        let connect = || may_use(&granted, &found, address, SocketAddrUse::TcpConnect);
        assert!(!connect());
        found.add(address);
        assert!(connect());
        let other_port = SocketAddr::new(address.ip(), 6380);
        assert!(!may_use(&granted, &found, other_port, SocketAddrUse::TcpConnect));
        for port in 0..REMEMBERED {
            found.add(SocketAddr::new("203.0.112.2".parse().unwrap(), 1 + port as u16));
        }
        assert!(!connect(), "the oldest is forgotten");
    }

    #[test]
    fn listening_and_datagrams_are_never_allowed() {
        let (address, any) = ("127.0.0.1:6379".parse().unwrap(), "0.0.0.0:0".parse().unwrap());
        let found = Found::default();
        found.add(address);
        found.add(any);
        for purpose in [
            SocketAddrUse::TcpListen,
            SocketAddrUse::TcpAccept,
            SocketAddrUse::UdpBind,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            for address in [address, any] {
                let granted = listed("127.0.0.1:6379");
                assert!(!may_use(&granted, &found, address, purpose), "{purpose:?} {address}");
            }
        }
        // To bind is what a client does on its way, to no place of its choice.
        let bind =
            |address| may_use(&listed("127.0.0.1:6379"), &found, address, SocketAddrUse::TcpBind);
        assert!(bind(any));
        assert!(!bind(address));
    }

    /// An instance that may look this name up, from who does not answer.
    fn instance(silent: &Arc<Silent>) -> (Capabilities, Resource<Network>) {
        let mut grants = Grants::default();
        grants.add_socket(SocketGrant::parse("cache.example:6379").unwrap().or_private());
        let limits = stheno_config::Limits::default();
        let mut shared = Shared::new("test", grants, &limits, crate::Clock::system());
        let resolver = Resolver::asking(Arc::clone(silent) as Arc<dyn Names>);
        Arc::get_mut(&mut shared).unwrap().resolver = resolver;
        let mut instance = Capabilities::new(shared).unwrap();
        let network = instance_network::Host::instance_network(&mut instance.network()).unwrap();
        (instance, network)
    }

    #[tokio::test]
    async fn a_guest_that_looks_names_up_and_drops_them_holds_a_few_threads() {
        let silent = Arc::new(Silent::default());
        let _released = Released(Arc::clone(&silent));
        let (mut guest, network) = instance(&silent);
        for _ in 0..2_000 {
            let network = Resource::new_borrow(network.rep());
            let name = "cache.example".to_owned();
            let stream = Host::resolve_addresses(&mut guest, network, name).unwrap();
            tokio::task::yield_now().await;
            HostResolveAddressStream::drop(&mut guest, stream).unwrap();
        }
        // Whoever has something else to do in a thread does it.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
        assert!((1..=8).contains(&silent.asked()), "{}", silent.asked());
    }

    #[tokio::test]
    async fn a_lookup_ends_with_its_call_or_with_the_addresses() {
        let silent = Arc::new(Silent::default());
        let _released = Released(Arc::clone(&silent));
        let (mut guest, network) = instance(&silent);
        let begin = |guest: &mut Capabilities| {
            let network = Resource::new_borrow(network.rep());
            Host::resolve_addresses(guest, network, "cache.example".into()).unwrap()
        };
        let next = |guest: &mut Capabilities, stream: &Resource<ResolveAddressStream>| {
            let stream = Resource::new_borrow(stream.rep());
            HostResolveAddressStream::resolve_next_address(guest, stream)
                .map_err(|error| error.downcast().unwrap())
        };
        let left = begin(&mut guest);
        assert_eq!(next(&mut guest, &left).unwrap_err(), ErrorCode::WouldBlock);
        guest.sweep();
        assert_eq!(next(&mut guest, &left).unwrap_err(), ErrorCode::TemporaryResolverFailure);
        let asked = begin(&mut guest);
        silent.answer();
        guest.table.get_mut(&lookup_of(&asked)).unwrap().ready().await;
        assert!(matches!(next(&mut guest, &asked), Ok(Some(IpAddress::Ipv4((127, 0, 0, 1))))));
        assert!(matches!(next(&mut guest, &asked), Ok(None)));
        assert!(guest.sockets.found.has("127.0.0.1:6379".parse().unwrap()));
    }
}
