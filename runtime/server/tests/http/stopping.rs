//! A graceful stop.

use std::io::ErrorKind;

use serde_json::json;
use tokio::net::TcpStream;

use crate::server::Server;
use crate::watch::Frames;

#[tokio::test]
async fn a_stop_ends_what_waits_and_leaves_nothing_behind() {
    let mut server = Server::start().await;
    server.subscribe("s", json!({"pattern": "*"})).await;
    // Watches are seen to have begun; that a long poll ends is tested with the
    // command, whose log says when one has begun.
    let mut watches = [
        Frames::of(&server, &[("pattern", "*")]).await,
        Frames::of(&server, &[("pattern", "a")]).await,
    ];
    assert_eq!(server.subscriptions().await.len(), 3);
    server.stop().await.unwrap();
    for watch in &mut watches {
        assert_eq!(watch.next().await, None);
    }
    let refused = TcpStream::connect(server.address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    // The runtime still runs: it is for the caller to stop.
    let left = server.runtime.events().subscriptions().await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    server.runtime.shutdown().await.unwrap();
}
