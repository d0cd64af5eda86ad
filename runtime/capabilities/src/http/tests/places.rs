//! Where requests go, and where they do not.

use super::*;

const HELLO: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"];
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn names(answers: &[&[IpAddr]]) -> Arc<Names> {
    let answers = answers.iter().map(|answer| answer.to_vec()).collect();
    Arc::new(Names { answers, asked: Mutex::new(0) })
}

#[tokio::test]
async fn an_address_is_reached_by_whoever_was_granted_it() {
    let server = Server::answering(HELLO).await;
    let http = http(grant("127.0.0.1", &server));
    assert_eq!(ask(&http, get(&server, "127.0.0.1")).await.unwrap(), "hello");
    assert_eq!(ask(&http, get(&server, "[::ffff:127.0.0.1]")).await.unwrap(), "hello");
    assert!(server.head().contains(&format!("host: {}\r\n", server.address)), "{}", server.head());
    assert_eq!(http.denied(), 0);
}

#[tokio::test]
async fn a_name_that_leads_into_a_private_network_is_refused_unless_the_grant_says_so() {
    let server = Server::answering(HELLO).await;
    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    for answer in [LOOPBACK, mapped] {
        let http = http_with(grant("api.test", &server), names(&[&[answer]]));
        let refused = ask(&http, get(&server, "api.test")).await;
        assert!(matches!(refused, Err(Error::HttpRequestDenied)), "{refused:?}");
        assert_eq!((http.denied(), server.connections()), (1, 0));
    }
    let mut private = grant("api.test", &server);
    private.private = true;
    let http = http_with(private, names(&[&[LOOPBACK]]));
    assert_eq!(ask(&http, get(&server, "api.test")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_name_never_leads_to_where_clouds_hand_out_credentials() {
    let server = Server::answering(HELLO).await;
    for address in ["169.254.169.254", "fe80::1", "0.0.0.0", "64:ff9b::a9fe:a9fe"] {
        let mut private = grant("api.test", &server);
        private.private = true;
        let http = http_with(private, names(&[&[address.parse().unwrap()]]));
        let refused = ask(&http, get(&server, "api.test")).await;
        assert!(matches!(refused, Err(Error::HttpRequestDenied)), "{address}: {refused:?}");
        assert_eq!(http.denied(), 1);
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_connected_to() {
    let server = Server::answering(HELLO).await;
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let stand_in =
        Server::on(other, server.address.port(), |stream| Box::pin(std::future::ready(stream)))
            .await;
    let mut private = grant("api.test", &server);
    private.private = true;
    // Whoever looked it up a second time would be led to the other one.
    let names = names(&[&[LOOPBACK], &[other.into()]]);
    let http = http_with(private, Arc::clone(&names) as Arc<dyn resolve::Names>);
    for _ in 0..3 {
        assert_eq!(ask(&http, get(&server, "api.test")).await.unwrap(), "hello");
    }
    assert_eq!((*names.asked.lock().unwrap(), server.connections()), (1, 1));
    assert_eq!(stand_in.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_answer_is_checked_again() {
    // A server that closes after each answer, so that each request connects.
    let server = Server::answering(&[
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    ])
    .await;
    let mut private = grant("api.test", &server);
    private.private = true;
    let metadata: IpAddr = "169.254.169.254".parse().unwrap();
    let http = http_with(private, names(&[&[LOOPBACK], &[metadata]]));
    assert_eq!(ask(&http, get(&server, "api.test")).await.unwrap(), "hello");
    let refused = ask(&http, get(&server, "api.test")).await;
    assert!(matches!(refused, Err(Error::HttpRequestDenied)), "{refused:?}");
    assert_eq!((http.denied(), server.connections()), (1, 1));
}

#[tokio::test]
async fn one_good_address_among_others_is_the_one_that_is_used() {
    let server = Server::answering(HELLO).await;
    let mut private = grant("api.test", &server);
    private.private = true;
    let metadata: IpAddr = "169.254.169.254".parse().unwrap();
    let http = http_with(private, names(&[&[metadata, LOOPBACK]]));
    assert_eq!(ask(&http, get(&server, "api.test")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow_and_decided_again() {
    let door = Server::answering(HELLO).await;
    let server = Server::answering(&[
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2/\r\nContent-Length: 0\r\n\r\n",
    ])
    .await;
    let http = http(grant("127.0.0.1", &server));
    let response = send(&mut http.instance(), get(&server, "127.0.0.1")).await.unwrap();
    assert_eq!(response.status(), 302);
    let refused = ask(&http, get(&door, "127.0.0.1")).await;
    assert!(matches!(refused, Err(Error::HttpRequestDenied)), "{refused:?}");
    assert_eq!((http.denied(), door.connections(), server.connections()), (1, 0, 1));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_denial() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = Server { address, seen: Arc::default() };
    let http = http(grant("127.0.0.1", &server));
    let failed = ask(&http, get(&server, "127.0.0.1")).await;
    assert!(matches!(failed, Err(Error::ConnectionRefused)), "{failed:?}");
    assert_eq!(http.denied(), 0);
}
