//! A cache provider that wants the network. The key of a `get` says how:
//!
//! | key | answer |
//! |---|---|
//! | `connect:IP:PORT` | `connected`, or `error: ...` |
//! | `listen:IP:PORT` | `listening`, or `error: ...` with the step that failed |
//! | `udp:IP:PORT` | `sent`, or `error: ...` with the step that failed |
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
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::udp_create_socket::create_udp_socket;

struct Sockets;

impl Lifecycle for Sockets {
    fn describe() -> Description {
        Description::new("sockets-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

fn address(text: &str) -> std::result::Result<(IpAddressFamily, IpSocketAddress), String> {
    let address: SocketAddr = text.parse().map_err(|_| format!("`{text}` is no address"))?;
    let port = address.port();
    Ok(match address.ip() {
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
    })
}

/// What a step came to.
fn at(step: &str) -> impl Fn(ErrorCode) -> String + '_ {
    move |code| format!("{} ({step})", code.name())
}

fn connect(text: &str) -> std::result::Result<String, String> {
    let (family, address) = address(text)?;
    let told = |code: ErrorCode| code.name().to_owned();
    let socket = create_tcp_socket(family).map_err(told)?;
    socket.start_connect(&instance_network(), address).map_err(told)?;
    socket.subscribe().block();
    socket.finish_connect().map(|_| "connected".to_owned()).map_err(told)
}

fn listen(text: &str) -> std::result::Result<String, String> {
    let (family, address) = address(text)?;
    let socket = create_tcp_socket(family).map_err(at("create"))?;
    socket.start_bind(&instance_network(), address).map_err(at("bind"))?;
    socket.subscribe().block();
    socket.finish_bind().map_err(at("bind"))?;
    socket.start_listen().map_err(at("listen"))?;
    socket.subscribe().block();
    socket.finish_listen().map_err(at("listen"))?;
    Ok("listening".to_owned())
}

fn send(text: &str) -> std::result::Result<String, String> {
    let (family, remote) = address(text)?;
    let (_, any) = address(match family {
        IpAddressFamily::Ipv4 => "0.0.0.0:0",
        IpAddressFamily::Ipv6 => "[::]:0",
    })?;
    let socket = create_udp_socket(family).map_err(at("create"))?;
    socket.start_bind(&instance_network(), any).map_err(at("bind"))?;
    socket.subscribe().block();
    socket.finish_bind().map_err(at("bind"))?;
    let (_, outgoing) = socket.stream(None).map_err(at("stream"))?;
    outgoing.check_send().map_err(at("send"))?;
    let datagram = OutgoingDatagram { data: b"hello".to_vec(), remote_address: Some(remote) };
    outgoing.send(&[datagram]).map_err(at("send"))?;
    Ok("sent".to_owned())
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
            Some(("listen", address)) => Some(told(listen(address))),
            Some(("udp", address)) => Some(told(send(address))),
            Some(("resolve", host)) => Some(told(resolve(host))),
            _ => None,
        })
    }
}

export_answers!(Sockets);
