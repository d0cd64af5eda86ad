//! A cache provider that wants the network. The key of a `get` says how:
//!
//! | key | answer |
//! |---|---|
//! | `connect:IP:PORT` | `connected`, or `error: ...` |
//! | `resolve:HOST` | the addresses, or `error: ...` |
//! | anything else | a miss |
//!
//! It calls WASI by its own name and not through `std::net`, which not every
//! compiler's standard library has for this target.

use std::net::{IpAddr, SocketAddr};

use hostile_support::{Answers, export_answers, told};
use stheno_sdk::{Description, Instances, Lifecycle, Result};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

struct Sockets;

impl Lifecycle for Sockets {
    fn describe() -> Description {
        Description::new("sockets-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

fn connect(text: &str) -> std::result::Result<String, String> {
    let address: SocketAddr = text.parse().map_err(|_| format!("`{text}` is no address"))?;
    let port = address.port();
    let (family, address) = match address.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            (
                IpAddressFamily::Ipv4,
                IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) }),
            )
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h] = ip.segments();
            let address = (a, b, c, d, e, f, g, h);
            let address = Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    };
    let told = |code: ErrorCode| code.name().to_owned();
    let socket = create_tcp_socket(family).map_err(told)?;
    socket.start_connect(&instance_network(), address).map_err(told)?;
    socket.subscribe().block();
    socket.finish_connect().map(|_| "connected".to_owned()).map_err(told)
}

fn resolve(host: &str) -> std::result::Result<String, String> {
    let told = |code: ErrorCode| code.name().to_owned();
    let addresses = resolve_addresses(&instance_network(), host).map_err(told)?;
    addresses.subscribe().block();
    let mut found = Vec::new();
    while let Some(address) = addresses.resolve_next_address().map_err(told)? {
        found.push(match address {
            IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]).to_string(),
            IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
                IpAddr::from([a, b, c, d, e, f, g, h]).to_string()
            }
        });
    }
    Ok(found.join(" "))
}

impl Answers for Sockets {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(match key.split_once(':') {
            Some(("connect", address)) => Some(told(connect(address))),
            Some(("resolve", host)) => Some(told(resolve(host))),
            _ => None,
        })
    }
}

export_answers!(Sockets);
