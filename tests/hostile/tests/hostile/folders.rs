//! Files, the environment and what else WASI has: empty without a grant, and
//! with one the folder and nothing around it.

use std::path::Path;

use stheno::config::{FolderGrant, FolderMode, GuestPath, Limits};
use stheno_engine::LoadError;
use stheno_hostile::{Guest, ask, load, terms, try_load};
use tempfile::TempDir;

use crate::engine;

const FILES: &str = "files-cache";

async fn granted(host: &Path, mode: FolderMode) -> Guest {
    let mut terms = terms(Limits::default());
    let guest = GuestPath::new("/data").unwrap();
    terms.grants.add_folder(FolderGrant { host: host.to_owned(), guest, mode }).unwrap();
    try_load(&engine(), FILES, terms).await.unwrap()
}

/// A folder `open` to be granted beside a file that is not in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::create_dir(folder.path().join("open")).unwrap();
        std::fs::write(folder.path().join("open/hello"), "hello").unwrap();
        Self(folder)
    }

    fn open(&self) -> std::path::PathBuf {
        self.0.path().join("open")
    }
}

async fn told(guest: &Guest, key: &str) -> String {
    ask(guest, key).await.unwrap()
}

async fn assert_refused(guest: &Guest, key: &str) {
    let answer = told(guest, key).await;
    assert!(answer.starts_with("error: "), "{key}: {answer}");
}

#[tokio::test]
async fn without_a_grant_there_is_nothing_to_see() {
    let guest = load(&engine(), FILES, Limits::default()).await;
    for key in ["env", "args", "stdin"] {
        assert_eq!(told(&guest, key).await, "", "{key}");
    }
    for key in ["env:PATH", "env:HOME", "read:/etc/passwd", "list:/", "list:.", "write:/a:b"] {
        assert_refused(&guest, key).await;
    }
}

#[tokio::test]
async fn a_read_only_folder_can_be_read_and_not_written() {
    let place = Place::new();
    let guest = granted(&place.open(), FolderMode::ReadOnly).await;
    assert_eq!(told(&guest, "read:/data/hello").await, "hello");
    assert_eq!(told(&guest, "list:/data").await, "hello");
    for key in ["write:/data/hello:changed", "write:/data/new:text"] {
        assert_refused(&guest, key).await;
    }
    assert_eq!(std::fs::read_to_string(place.open().join("hello")).unwrap(), "hello");
    assert_eq!(std::fs::read_dir(place.open()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_read_write_folder_can_be_written() {
    let place = Place::new();
    let guest = granted(&place.open(), FolderMode::ReadWrite).await;
    assert_eq!(told(&guest, "write:/data/new:text").await, "written");
    assert_eq!(std::fs::read_to_string(place.open().join("new")).unwrap(), "text");
}

#[tokio::test]
async fn no_way_leads_out_of_a_granted_folder() {
    let place = Place::new();
    let open = place.open();
    std::os::unix::fs::symlink("../secret", open.join("relative")).unwrap();
    std::os::unix::fs::symlink(place.0.path().join("secret"), open.join("absolute")).unwrap();
    std::os::unix::fs::symlink("..", open.join("up")).unwrap();
    for mode in [FolderMode::ReadOnly, FolderMode::ReadWrite] {
        let guest = granted(&open, mode).await;
        for path in ["../secret", "relative", "absolute", "up/secret", "hello/../../secret"] {
            assert_refused(&guest, &format!("read:/data/{path}")).await;
            assert_refused(&guest, &format!("write:/data/{path}:changed")).await;
        }
        for path in ["/data/..", "/data/up", "/", "/etc"] {
            assert_refused(&guest, &format!("list:{path}")).await;
        }
    }
    assert_eq!(std::fs::read_to_string(place.0.path().join("secret")).unwrap(), "secret");
}

#[tokio::test]
async fn a_granted_folder_that_is_not_there_is_an_error_that_names_it() {
    let place = Place::new();
    let mut terms = terms(Limits::default());
    let host = place.open().join("missing");
    let guest = GuestPath::new("/data").unwrap();
    let mode = FolderMode::ReadOnly;
    terms.grants.add_folder(FolderGrant { host: host.clone(), guest, mode }).unwrap();
    let error = try_load(&engine(), FILES, terms).await.err().unwrap();
    assert!(matches!(error, LoadError::Start { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&*host.to_string_lossy()) && text.contains("grants.folders"), "{text}");
}
