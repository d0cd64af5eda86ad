//! A cache provider that wants the network. The key of a `get` says how:
//!
//! | key | answer |
//! |---|---|
//! | `connect:IP:PORT` | `connected`, or `error: ...` |
//! | `resolve:HOST` | the addresses, or `error: ...` |
//! | anything else | a miss |

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use hostile_support::{Answers, export_answers, told};
use stheno_sdk::{Description, Instances, Lifecycle, Result};

struct Sockets;

impl Lifecycle for Sockets {
    fn describe() -> Description {
        Description::new("sockets-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

fn connect(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    TcpStream::connect(address).map(|_| "connected".to_owned())
}

fn resolve(host: &str) -> std::io::Result<String> {
    let found: Vec<String> = (host, 80).to_socket_addrs()?.map(|address| address.ip().to_string()).collect();
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
