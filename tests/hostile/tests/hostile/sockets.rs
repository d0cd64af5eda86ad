//! The network: nothing without a grant, and with one what is listed.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use stheno::Runtime;
use stheno::config::{Config, Limits, SocketGrant};
use stheno_engine::{Aspect, LoadError};
use stheno_hostile::{Guest, ask, denied, terms, try_load};

use crate::engine;

const SOCKETS: &str = "sockets-cache";

/// A listener that tells whether somebody came.
struct Door(TcpListener);

impl Door {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn visitors(&self) -> usize {
        std::iter::from_fn(|| self.0.accept().ok()).count()
    }
}

async fn granted(addresses: &[SocketAddr]) -> Guest {
    let mut terms = terms(Limits::default());
    for &address in addresses {
        terms.grants.add_socket(SocketGrant::new(address).unwrap());
    }
    try_load(&engine(), SOCKETS, terms).await.unwrap()
}

#[tokio::test]
async fn a_component_that_wants_the_network_is_refused_without_a_grant() {
    let error = try_load(&engine(), SOCKETS, terms(Limits::default())).await.err().unwrap();
    assert_eq!(error.aspect(), Aspect::Grants);
    let LoadError::MissingGrant { name, import, line } = &error else { panic!("{error:?}") };
    assert_eq!(name, SOCKETS);
    assert!(import.starts_with("wasi:sockets/"), "{import}");
    assert!(error.to_string().contains(import));
    assert!(error.help().contains(line));
}

#[tokio::test]
async fn the_line_that_the_refusal_names_is_the_line_that_grants_it() {
    let folder = tempfile::tempdir().unwrap();
    let guest = stheno_test_support::guest(SOCKETS);
    let config = |line: &str| {
        let text = format!("[modules.cache]\nresolve = \"{}\"\n{line}\n", guest.display());
        let config = Config::parse(&text, "stheno.toml", folder.path(), &|_| None).unwrap();
        Runtime::builder().config(config).build()
    };
    let error = config("").await.err().unwrap();
    let problem = error.problems().remove(0);
    assert_eq!(problem.place, "modules.cache.grants");
    assert!(problem.message.contains("wasi:sockets/"), "{}", problem.message);
    let (_, line) = problem.help.split_once("below its module: ").unwrap();
    let runtime = config(line).await.unwrap();
    runtime.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_listed_address_can_be_connected_to() {
    let (listed, unlisted) = (Door::open(), Door::open());
    let guest = granted(&[listed.address()]).await;
    let connect = async |address: String| ask(&guest, &format!("connect:{address}")).await.unwrap();
    assert_eq!(connect(listed.address().to_string()).await, "connected");
    assert_eq!(listed.visitors(), 1);
    let (open, other) = (listed.address().port(), unlisted.address().port());
    for address in [
        format!("127.0.0.1:{other}"),
        format!("[::ffff:127.0.0.1]:{other}"),
        format!("[::1]:{other}"),
        format!("127.0.0.2:{open}"),
        format!("0.0.0.0:{open}"),
        format!("[::ffff:127.0.0.1]:{open}"),
    ] {
        let before = denied(&guest, "sockets");
        let answer = connect(address.clone()).await;
        assert!(answer.starts_with("error: "), "{address}: {answer}");
        let counted = denied(&guest, "sockets") - before;
        assert_eq!(counted, u64::from(answer == "error: access-denied"), "{address}");
    }
    assert!(denied(&guest, "sockets") >= 3);
    assert_eq!((listed.visitors(), unlisted.visitors()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_connect_to_a_guest_and_no_datagram_leaves_it() {
    let door = Door::open();
    // On the very address that TCP is granted to.
    let letters = UdpSocket::bind(door.address()).unwrap();
    letters.set_nonblocking(true).unwrap();
    let free = Door::open().address();
    let guest = granted(&[door.address(), free]).await;
    let asked = async |verb: &str, address: SocketAddr| {
        ask(&guest, &format!("{verb}:{address}")).await.unwrap()
    };
    for address in [free, "127.0.0.1:0".parse().unwrap()] {
        assert_eq!(asked("listen", address).await, "error: access-denied (bind)", "{address}");
    }
    // A client may bind to this one, and does no more with it.
    let any = asked("listen", "0.0.0.0:0".parse().unwrap()).await;
    assert_eq!(any, "error: access-denied (listen)");
    assert!(TcpStream::connect(free).is_err());
    let sent = asked("udp", door.address()).await;
    assert!(sent.starts_with("error: access-denied"), "{sent}");
    let nothing = letters.recv_from(&mut [0; 8]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    // It would have got there.
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", door.address()).unwrap();
    letters.set_nonblocking(false).unwrap();
    assert_eq!(letters.recv_from(&mut [0; 8]).unwrap().0, 5);
    assert_eq!(door.visitors(), 0);
}

async fn granted_by(grants: Vec<SocketGrant>) -> Guest {
    let mut terms = terms(Limits::default());
    grants.into_iter().for_each(|grant| terms.grants.add_socket(grant));
    try_load(&engine(), SOCKETS, terms).await.unwrap()
}

/// `localhost` is a name that every machine knows, and knows as its own.
fn localhost(door: &Door) -> SocketGrant {
    SocketGrant::parse(&format!("localhost:{}", door.address().port())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_listed_name_is_looked_up() {
    let door = Door::open();
    let guest = granted_by(vec![localhost(&door).or_private()]).await;
    let listed = ask(&guest, "resolve:LocalHost").await.unwrap();
    assert!(listed.split(' ').any(|address| address == "127.0.0.1"), "{listed}");
    for host in ["example.com", "a.localhost", "localhost.", "127.0.0.2", "::2", "%6cocalhost", ""]
    {
        let answer = ask(&guest, &format!("resolve:{host}")).await.unwrap();
        assert_eq!(answer, "error: access-denied", "{host}");
    }
    assert_eq!(denied(&guest, "sockets"), 7);
    // With addresses alone no name is looked up at all.
    let guest = granted(&[door.address()]).await;
    assert_eq!(ask(&guest, "resolve:localhost").await.unwrap(), "error: access-denied");
    assert_eq!(ask(&guest, "resolve:127.0.0.1").await.unwrap(), "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_leads_to_where_the_host_said_and_on_the_listed_port_alone() {
    let (door, other) = (Door::open(), Door::open());
    let guest = granted_by(vec![localhost(&door).or_private()]).await;
    let connect = async |address: String| ask(&guest, &format!("connect:{address}")).await.unwrap();
    let address = door.address().to_string();
    // A guest that guesses where the name is has not been told.
    assert_eq!(connect(address.clone()).await, "error: access-denied");
    assert!(!ask(&guest, "resolve:localhost").await.unwrap().starts_with("error"));
    assert_eq!(connect(address).await, "connected");
    assert_eq!(door.visitors(), 1);
    assert_eq!(connect(other.address().to_string()).await, "error: access-denied");
    assert_eq!(
        connect(format!("127.0.0.2:{}", door.address().port())).await,
        "error: access-denied"
    );
    assert_eq!((door.visitors(), other.visitors()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_into_a_private_network_is_not_told_unless_the_grant_says_so() {
    let door = Door::open();
    let guest = granted_by(vec![localhost(&door)]).await;
    assert_eq!(ask(&guest, "resolve:localhost").await.unwrap(), "error: access-denied");
    let answer = ask(&guest, &format!("connect:{}", door.address())).await.unwrap();
    assert_eq!(answer, "error: access-denied");
    assert_eq!(door.visitors(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_of_a_name_may_be_granted_further_than_another_in_whatever_order() {
    let (door, other) = (Door::open(), Door::open());
    let both = [localhost(&door).or_private(), localhost(&other)];
    for grants in [both.to_vec(), both.iter().rev().cloned().collect()] {
        let guest = granted_by(grants).await;
        assert!(!ask(&guest, "resolve:localhost").await.unwrap().starts_with("error"));
        let connect = async |door: &Door| ask(&guest, &format!("connect:{}", door.address())).await;
        assert_eq!(connect(&door).await.as_deref(), Ok("connected"));
        assert_eq!(connect(&other).await.as_deref(), Ok("error: access-denied"));
        assert_eq!((door.visitors(), other.visitors()), (1, 0));
    }
}
