//! Descriptions that no server holds as metadata.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::json;
use stheno::NewFile;

use super::{BUCKET, MINUTE, Own, PREFIX, broken};

/// A description that no server holds as metadata.
fn long(name: &str) -> NewFile {
    let mut file = NewFile::new(name);
    file.metadata = (0..32).map(|at| (format!("k{at}"), "ü".repeat(512))).collect();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_description_is_kept_beside_its_file_and_goes_with_it() {
    let own = Own::start(json!({})).await;
    let files = own.files();
    let stored = own.put(long("-first")).await;
    let copy = files.copy(&stored.key, None).await.unwrap();
    let upload = files.upload_url(long("linked"), MINUTE).await.unwrap();
    let mut request = Client::new().put(&upload.url).body("body");
    for (name, value) in &upload.headers {
        request = request.header(name, value);
    }
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let plain = own.put(NewFile::new("plain")).await;
    let keys = [&stored.key, &copy.key, &upload.key, &plain.key];
    for key in &keys[..3] {
        let found = files.stat(key).await.unwrap();
        assert_eq!(found.metadata, long("").metadata);
        assert_eq!(files.get(key).await.unwrap().bytes().await.unwrap(), b"body");
    }
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let page = files.list("", cursor.as_deref(), 1).await.unwrap();
        listed.extend(page.files.into_iter().map(|file| file.key));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = keys.into_iter().cloned().collect();
    expected.sort();
    assert_eq!(listed, expected);
    assert_eq!(own.objects().len(), 7);
    // The original goes, and its copy does not notice.
    assert_eq!(files.delete([&stored.key, &plain.key]).await.unwrap(), [Ok(()), Ok(())]);
    assert_eq!(own.objects().len(), 4);
    assert_eq!(files.stat(&copy.key).await.unwrap(), copy);
    assert_eq!(files.delete([&copy.key, &upload.key]).await.unwrap(), [Ok(()), Ok(())]);
    assert!(own.objects().is_empty(), "{:?}", own.objects());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_whose_file_never_came_is_removed_in_the_end() {
    let own = Own::start(json!({})).await;
    let files = own.files();
    let kept = own.put(long("kept")).await;
    for _ in 0..3 {
        assert!(files.put(long("broken"), broken(10)).await.is_err());
    }
    files.upload_url(long("unused"), MINUTE).await.unwrap();
    assert_eq!(own.objects().len(), 6);
    assert_eq!(own.list().await, std::slice::from_ref(&kept.key));
    // One whose file may yet come is left alone, whatever the clock of the host.
    own.clock.advance(Duration::from_secs(100 * 365 * 24 * 3_600));
    let more = async || {
        for _ in 0..6 {
            let key = own.put(long("new")).await.key;
            assert_eq!(files.delete([key]).await.unwrap(), [Ok(())]);
        }
    };
    more().await;
    assert_eq!(own.objects().len(), 6);
    for object in own.objects() {
        let age = Duration::from_secs(9 * 24 * 3_600);
        own.server.age(BUCKET, &format!("{PREFIX}{object}"), age);
    }
    more().await;
    assert_eq!(own.objects().len(), 2, "{:?}", own.objects());
    assert_eq!(files.stat(&kept.key).await.unwrap().metadata, kept.metadata);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_long_descriptions_give_every_file_once() {
    let own = Own::start(json!({})).await;
    let mut keys = Vec::new();
    for _ in 0..51 {
        keys.push(own.put(long("a")).await.key);
    }
    keys.push(own.put(NewFile::new("b")).await.key);
    keys.sort();
    let first = own.files().list("", None, 1_000).await.unwrap();
    assert_eq!(first.files.len(), 50);
    let rest = own.files().list("", first.cursor.as_deref(), 1_000).await.unwrap();
    assert_eq!(rest.cursor, None);
    let listed = first.files.into_iter().chain(rest.files).map(|file| file.key);
    assert_eq!(listed.collect::<Vec<_>>(), keys);
}
