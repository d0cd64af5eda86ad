//! A connection, over `wasi:sockets`. It calls WASI by its own name and not through
//! `std::net`, which not every compiler's standard library has for this target, and
//! which knows no deadline there.
//!
//! Whatever goes wrong, the connection is of no use any more: it is taken by value
//! and given back only where all went well.

use std::net::IpAddr;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    Network,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::address::{Address, Host};
use crate::protocol::{Malformed, Reply, Request};

/// The most bytes of one read.
const READ: u64 = 1 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The operator did not grant it.
    Denied,
    /// There is no connection.
    Unreachable(String),
    /// The connection ended, before anything came or after.
    Ended { answered: bool },
    /// It took too long.
    Late,
    /// The server does not speak as it should.
    Malformed(String),
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::Denied,
            code => Self::Unreachable(code.name().to_owned()),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// When everything that it is for has to be done.
pub(crate) struct Deadline(Pollable);

impl Deadline {
    pub(crate) fn after_ms(ms: u64) -> Self {
        Self(subscribe_duration(ms.saturating_mul(1_000_000)))
    }

    /// Waits until one of them is ready.
    fn wait(&self, ready: &[&Pollable]) -> Result<(), Failure> {
        let mut all = ready.to_vec();
        all.push(&self.0);
        // What comes drop by drop does not hold it up.
        match poll(&all).iter().any(|at| usize::try_from(*at) == Ok(ready.len())) {
            true => Err(Failure::Late),
            false => Ok(()),
        }
    }
}

/// A connection to a server that knows the meta commands. The streams are the
/// socket's children, and go before it.
pub(crate) struct Connection {
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
}

impl Connection {
    pub(crate) fn open(address: &Address, deadline: &Deadline) -> Result<Self, Failure> {
        let network = instance_network();
        let found = match &address.host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => look_up(&network, name, deadline)?,
        };
        let mut last = Failure::Unreachable("its name leads nowhere".to_owned());
        for ip in found {
            match connect(&network, ip, address.port.get(), deadline) {
                Err(Failure::Late) => return Err(Failure::Late),
                Err(failure) => last = failure,
                Ok(connection) => return Ok(connection),
            }
        }
        Err(last)
    }

    /// Whether nobody ended it, or said what nobody asked.
    pub(crate) fn is_quiet(&self) -> bool {
        self.input.read(1).is_ok_and(|bytes| bytes.is_empty())
    }

    /// Sends a request and reads the replies, both at once: a server that waits for
    /// its replies to be taken reads nothing more.
    pub(crate) fn exchange(
        self,
        request: &Request,
        deadline: &Deadline,
    ) -> Result<(Self, Vec<Reply>), Failure> {
        let mut reader = request.reader();
        let mut unsent = request.bytes();
        let mut answered = false;
        loop {
            if !unsent.is_empty() {
                let ended = |_| Failure::Ended { answered };
                let room = self.output.check_write().map_err(ended)?;
                let room = usize::try_from(room).unwrap_or(usize::MAX).min(unsent.len());
                let (now, later) = unsent.split_at(room);
                if !now.is_empty() {
                    self.output.write(now).map_err(ended)?;
                    unsent = later;
                }
            }
            let came = self.input.subscribe();
            match unsent.is_empty() {
                true => deadline.wait(&[&came])?,
                false => deadline.wait(&[&came, &self.output.subscribe()])?,
            }
            drop(came);
            let bytes = self.input.read(READ).map_err(|_| Failure::Ended { answered })?;
            answered |= !bytes.is_empty();
            if reader.take(&bytes)? {
                return match unsent.is_empty() {
                    true => Ok((self, reader.replies())),
                    false => Err(Failure::Malformed("an answer before the question".to_owned())),
                };
            }
        }
    }
}

fn look_up(network: &Network, name: &str, deadline: &Deadline) -> Result<Vec<IpAddr>, Failure> {
    let addresses = resolve_addresses(network, name)?;
    let mut found = Vec::new();
    loop {
        match addresses.resolve_next_address() {
            Ok(None) => return Ok(found),
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => found.push(IpAddr::from([a, b, c, d])),
            Ok(Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))) => {
                found.push(IpAddr::from([a, b, c, d, e, f, g, h]));
            }
            Err(ErrorCode::WouldBlock) => deadline.wait(&[&addresses.subscribe()])?,
            Err(code) => return Err(code.into()),
        }
    }
}

fn connect(
    network: &Network,
    ip: IpAddr,
    port: u16,
    deadline: &Deadline,
) -> Result<Connection, Failure> {
    let (family, address) = match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            let address = Ipv4SocketAddress { port, address: (a, b, c, d) };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(address))
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h] = ip.segments();
            let address = (a, b, c, d, e, f, g, h);
            let address = Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    };
    let socket = create_tcp_socket(family)?;
    socket.start_connect(network, address)?;
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => return Ok(Connection { input, output, _socket: socket }),
            Err(ErrorCode::WouldBlock) => deadline.wait(&[&socket.subscribe()])?,
            Err(code) => return Err(code.into()),
        }
    }
}
