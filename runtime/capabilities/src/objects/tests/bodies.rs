//! Bodies that are larger than a part, and those that come to nothing.

use stheno_config::{ByteSize, ObjectsMaxSize};
use stheno_contracts::body::{Reader, Sink};
use stheno_contracts::objects::Existing;
use stheno_test_support::{ObjectServer, until};
use tokio::io::AsyncReadExt;

use super::{account, bound, get, grant, kind, plain, put, write};
use crate::HostBytes;

const PART: usize = 5 << 20;

/// A body in which no two parts are alike.
fn large(bytes: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_le_bytes).take(bytes).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_several_parts_is_whole_however_it_is_cut() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    for (size, chunk) in [
        (PART, PART),
        (PART + 1, 512 << 10),
        (2 * PART, 1 << 20),
        (3 * PART + 77, 100_003),
        (PART + 100, 9_999),
    ] {
        let body = large(size);
        let account = account();
        let mut upload = binding.create("k", plain(), Existing::Replace, &account).await.unwrap();
        write(&mut upload, &body, chunk).await.unwrap();
        assert!(account.used() <= 2 * PART as u64);
        Box::new(upload).finish().await.unwrap();
        assert_eq!(account.used(), 0);
        let (info, _, read) = get(&binding, "k", None).await.unwrap();
        assert_eq!(info.size, size as u64);
        assert!(read == body, "{size} bytes in chunks of {chunk}");
    }
    assert_eq!(server.leftovers(), 0);
    let seen = server.seen();
    assert!(seen.iter().all(|line| line.contains(" /shop/own/k")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_given_up_leaves_nothing_and_changes_nothing() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    put(&binding, "k", b"before").await.unwrap();
    let mut upload = binding.create("k", plain(), Existing::Replace, &account()).await.unwrap();
    write(&mut upload, &large(2 * PART + 10), 1 << 20).await.unwrap();
    until("nothing was sent", async || server.leftovers() > 0).await;
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"before");
    drop(upload);
    until("parts are left", async || server.leftovers() == 0).await;
    assert_eq!(get(&binding, "k", None).await.unwrap().2, b"before");
    let seen = server.seen();
    assert!(seen.iter().any(|line| line.starts_with("DELETE /shop/own/k?")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_fails_in_the_middle_stores_nothing() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    let broken = std::io::Error::other("the line went dead");
    let reader = std::io::Cursor::new(large(2 * PART)).chain(FailingReader(Some(broken)));
    let put = binding.put("k", plain(), Existing::Replace, Reader::new(reader), &account()).await;
    assert_eq!(kind(put), "unavailable");
    until("parts are left", async || server.leftovers() == 0).await;
    assert_eq!(kind(get(&binding, "k", None).await), "not-found");
}

struct FailingReader(Option<std::io::Error>);

impl tokio::io::AsyncRead for FailingReader {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(self.0.take().map_or(Ok(()), Err))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_the_server_refuses_fails_the_body_and_what_was_sent_is_removed() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    let mut upload = binding.create("k", plain(), Existing::Replace, &account()).await.unwrap();
    write(&mut upload, &large(PART), PART).await.unwrap();
    server.answer("PUT /shop/own/k?", 403, "AccessDenied");
    let written = write(&mut upload, &large(4 * PART), PART).await;
    assert_eq!(kind(written), "denied");
    assert_eq!(kind(upload.write(b"more".to_vec()).await), "conflict");
    assert_eq!(kind(Box::new(upload).finish().await), "conflict");
    until("parts are left", async || server.leftovers() == 0).await;
    assert_eq!(server.body("shop", "own/k"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_beyond_the_largest_is_refused_and_leaves_nothing() {
    let server = ObjectServer::start(&["shop"]);
    let mut small = grant(&server.url(), "own/");
    small.max_object_size = ObjectsMaxSize::new(ByteSize::mib(6)).unwrap();
    let binding = bound(small);
    assert_eq!(kind(put(&binding, "k", &large(6 << 20)).await), "ok");
    let refused = put(&binding, "k", &large((6 << 20) + 1)).await.unwrap_err();
    assert_eq!(refused.kind(), "invalid-argument");
    assert!(refused.message().contains("max_object_size = \"6MiB\""), "{refused:?}");
    until("parts are left", async || server.leftovers() == 0).await;
    assert_eq!(get(&binding, "k", None).await.unwrap().0.size, 6 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_account_slows_a_body_down_and_a_smaller_one_refuses_it() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    let body = large(3 * PART);
    for (bytes, outcome) in [(PART + 10, "ok"), (PART - 10, "unavailable")] {
        let account = HostBytes::new(bytes as u64);
        let reader = Reader::new(std::io::Cursor::new(body.clone()));
        let put = binding.put("k", plain(), Existing::Replace, reader, &account).await;
        assert_eq!(kind(put), outcome);
        until("the account is not empty", async || account.used() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_away_while_an_upload_begins_leaves_nothing() {
    let server = ObjectServer::start(&["shop"]);
    let binding = bound(grant(&server.url(), "own/"));
    // The connection and the client are there.
    put(&binding, "other", b"x").await.unwrap();
    server.hang();
    let mut upload = binding.create("k", plain(), Existing::Replace, &account()).await.unwrap();
    let writing = tokio::spawn(async move { upload.write(large(PART)).await });
    let mut seen = Vec::new();
    until("the upload does not begin", async || {
        seen.extend(server.seen());
        seen.iter().any(|line| line.starts_with("POST /shop/own/k?uploads"))
    })
    .await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    server.go_on();
    until("the upload is not removed", async || {
        seen.extend(server.seen());
        seen.iter().any(|line| line.starts_with("DELETE /shop/own/k?"))
    })
    .await;
    until("the upload is left", async || server.leftovers() == 0).await;
}
