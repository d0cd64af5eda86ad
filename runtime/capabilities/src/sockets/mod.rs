//! TCP to what `grants.sockets` lists, and looking up the names in it.
//!
//! `wasi:sockets` lets a guest look a name up and connect to what it likes. Here a
//! name is looked up only if it is listed, and what can be connected to is what is
//! listed as an address, or what this host told this very instance of a listed name,
//! on the port that is listed with it. So no answer of a name server leads further
//! than the operator wrote: an address that is no public one is not told, unless the
//! grant says `private`, and one that was never told is not connected to.
//!
//! Never: UDP, listening. Does not belong here: HTTP, which has connections of its
//! own.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use stheno_config::{Grants, HttpHost, SocketGrant};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};
use wasmtime_wasi::{WasiCtxBuilder, WasiCtxView};

use crate::address::Class;
use crate::explain::Ruling;
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
    lookups: HashMap<u32, Lookup>,
}

/// A lookup that is under way.
struct Lookup {
    name: HttpHost,
    /// Some address was told.
    told: bool,
    /// Some address was not.
    refused: bool,
}

impl Instance {
    /// Gives a new instance the sockets that it was granted.
    pub(crate) fn new(shared: &Arc<Shared>, wasi: &mut WasiCtxBuilder) -> Self {
        let instance = Self::default();
        if shared.grants.sockets().is_empty() {
            return instance;
        }
        wasi.allow_tcp(true);
        // Which names, is decided below.
        wasi.allow_ip_name_lookup(true);
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
        // As it was compared, and not as the guest wrote it.
        let asked = match &host {
            HttpHost::Name(name) => name.as_str().to_owned(),
            HttpHost::Address(ip) => ip.to_string(),
        };
        let stream = Host::resolve_addresses(&mut self.network(), network, asked)?;
        if let HttpHost::Name(_) = host {
            let lookup = Lookup { name: host, told: false, refused: false };
            self.sockets.lookups.insert(stream.rep(), lookup);
        }
        Ok(stream)
    }
}

impl HostResolveAddressStream for Capabilities {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let rep = stream.rep();
        loop {
            let handle = Resource::new_borrow(rep);
            let found = self.network().resolve_next_address(handle)?;
            let Some(mut lookup) = self.sockets.lookups.remove(&rep) else {
                return Ok(found);
            };
            let told = found.map(|found| (found, address(found)));
            let verdict = told.map(|(_, ip)| self.may_be_told(&lookup.name, ip));
            lookup.told |= matches!(verdict, Some(Ok(())));
            lookup.refused |= matches!(verdict, Some(Err(_)));
            let nothing = !lookup.told && lookup.refused;
            self.sockets.lookups.insert(rep, lookup);
            match verdict {
                Some(Ok(())) => return Ok(found),
                Some(Err(why)) => self.shared.denials.sockets.add(&why),
                None if nothing => return Err(ErrorCode::AccessDenied.into()),
                None => return Ok(None),
            }
        }
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.network().subscribe(stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.sockets.lookups.remove(&stream.rep());
        HostResolveAddressStream::drop(&mut self.network(), stream)
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

/// As the checks have it: an IPv4 address mapped into IPv6 is one of IPv4.
fn address(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            IpAddr::from([a, b, c, d, e, f, g, h]).to_canonical()
        }
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
    use super::*;

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
        let address: SocketAddr = "127.0.0.1:6379".parse().unwrap();
        for purpose in [SocketAddrUse::TcpBind, SocketAddrUse::UdpBind, SocketAddrUse::TcpListen] {
            assert!(!may_use(&listed("127.0.0.1:6379"), &Found::default(), address, purpose));
        }
    }
}
