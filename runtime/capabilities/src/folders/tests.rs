//! What the capability promises, without a guest.

use std::path::Path;
use std::sync::Arc;

use cap_std::fs::Dir;
use proptest::prelude::*;
use stheno_config::{FolderGrant, FolderMode, Grants, GuestPath};
use stheno_contracts::Error;
use stheno_contracts::body::Sink;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use super::path::Below;
use super::place::Place;
use super::sink::Staged;
use super::{CHUNK_BYTES, Folders, LISTING, OWN, source, walk};

/// A page that somebody waits for.
fn walked(
    dir: &Dir,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> std::io::Result<Vec<String>> {
    let (patience, _waiter) = walk::Patience::of(LISTING);
    walk::first(dir, prefix, after, limit, &patience)
}

fn granted(host: &Path, mode: FolderMode) -> Folders {
    let mut grants = Grants::default();
    let guest = GuestPath::new("/files").unwrap();
    grants.add_folder(FolderGrant { host: host.to_owned(), guest, mode }).unwrap();
    Folders::new(&grants)
}

fn place(host: &Path) -> Arc<Place> {
    granted(host, FolderMode::ReadWrite).find("/files/x").unwrap().0
}

fn below(path: &str) -> Below {
    Below::parse(path, path).unwrap()
}

fn begin(place: &Place, path: &str) -> Result<Box<Staged>, Error> {
    Staged::new(place.made()?, below(path), path.to_owned()).map(Box::new)
}

async fn store(place: &Place, path: &str, chunks: &[&[u8]]) -> Result<(), Error> {
    let mut sink = begin(place, path)?;
    for chunk in chunks {
        sink.write(chunk.to_vec()).await?;
    }
    sink.finish().await
}

/// The names in the host's own folder.
fn aside(folder: &Path) -> usize {
    std::fs::read_dir(folder.join(OWN)).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_body_of_any_size_comes_back_byte_for_byte() {
    let folder = TempDir::new().unwrap();
    let place = place(folder.path());
    for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7] {
        let body: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let path = format!("a/b/{size}");
        let chunks: Vec<&[u8]> = body.chunks(100_000).collect();
        store(&place, &path, &chunks).await.unwrap();
        assert!(std::fs::read(folder.path().join(&path)).unwrap() == body, "{size}");
        let dir = place.existing().unwrap().unwrap();
        let (file, length) = source::regular(&dir, &below(&path)).unwrap();
        assert_eq!(length, size as u64);
        for (from, to) in [(0, size), (size / 3, size), (size / 2, size / 2), (0, size / 2)] {
            let file = file.try_clone().unwrap();
            let mut part = source::FileSource::new(file, from as u64, to as u64);
            let mut read = Vec::new();
            part.read_to_end(&mut read).await.unwrap();
            assert!(read == body[from..to], "{size}: {from}..{to}");
        }
    }
    assert_eq!(aside(folder.path()), 0);
}

#[tokio::test]
async fn what_is_not_finished_is_visible_nowhere_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let place = place(folder.path());
    let mut sink = begin(&place, "a/file").unwrap();
    sink.write(vec![1; 100]).await.unwrap();
    assert!(!folder.path().join("a").exists());
    assert_eq!(aside(folder.path()), 1);
    drop(sink);
    // The removal is work of another thread; this waits for one that is after
    // it in no queue but sees its effect.
    tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while aside(folder.path()) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_name_is_given_once() {
    let folder = TempDir::new().unwrap();
    let place = place(folder.path());
    let first = begin(&place, "file").unwrap();
    let mut second = begin(&place, "file").unwrap();
    second.write(b"second".to_vec()).await.unwrap();
    second.finish().await.unwrap();
    assert!(matches!(first.finish().await, Err(Error::Conflict(_))));
    assert!(matches!(begin(&place, "file"), Err(Error::Conflict(_))));
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"second");
    // A file and a folder cannot share a name either.
    assert!(store(&place, "file/inner", &[b"x"]).await.is_err());
}

#[tokio::test]
async fn opening_a_folder_removes_what_the_dead_left_and_nothing_of_the_living() {
    let folder = TempDir::new().unwrap();
    let living = place(folder.path());
    let mut sink = begin(&living, "file").unwrap();
    sink.write(b"living".to_vec()).await.unwrap();
    std::fs::write(folder.path().join(OWN).join("left"), "by a process that died").unwrap();
    assert_eq!(aside(folder.path()), 2);
    place(folder.path()).existing().unwrap().unwrap();
    assert_eq!(aside(folder.path()), 1);
    sink.finish().await.unwrap();
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"living");
}

#[tokio::test]
async fn a_read_only_folder_is_not_even_cleaned() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join(OWN)).unwrap();
    std::fs::write(folder.path().join(OWN).join("left"), "").unwrap();
    let place = granted(folder.path(), FolderMode::ReadOnly).find("/files").unwrap().0;
    place.existing().unwrap().unwrap();
    assert_eq!(aside(folder.path()), 1);
    assert!(matches!(place.may_write("/files/a"), Err(Error::Denied(_))));
}

#[tokio::test]
async fn no_link_leads_out() {
    let outside = TempDir::new().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let folder = TempDir::new_in(outside.path()).unwrap();
    for (name, to) in [("up", ".."), ("file", "../secret"), ("root", "/")] {
        std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
    }
    let absolute = outside.path().join("secret");
    std::os::unix::fs::symlink(&absolute, folder.path().join("absolute")).unwrap();
    let place = place(folder.path());
    let dir = place.existing().unwrap().unwrap();
    for path in ["up/secret", "file", "absolute", "root/etc/passwd"] {
        assert!(source::regular(&dir, &below(path)).is_err(), "{path}");
        let stored = store(&place, path, &[b"changed"]).await;
        assert!(stored.is_err(), "{path}");
    }
    for path in ["up/new", "root/tmp/stheno-new"] {
        assert!(store(&place, path, &[b"new"]).await.is_err(), "{path}");
    }
    assert!(!outside.path().join("new").exists());
    assert_eq!(std::fs::read(absolute).unwrap(), b"secret");
    assert_eq!(walked(&dir, "", None, 1_000).unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_no_regular_file_is_not_there_and_keeps_nobody_waiting() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let dir = place(folder.path()).existing().unwrap().unwrap();
    for path in ["folder", "pipe", "nothing"] {
        assert!(source::regular(&dir, &below(path)).is_err(), "{path}");
    }
    assert!(walked(&dir, "", None, 10).unwrap().is_empty());
}

#[test]
fn a_path_belongs_to_the_innermost_folder_that_holds_it() {
    let mut grants = Grants::default();
    for (host, guest) in [("/a", "/files"), ("/b", "/files/inner"), ("/c", "/")] {
        let guest = GuestPath::new(guest).unwrap();
        let mode = FolderMode::ReadOnly;
        grants.add_folder(FolderGrant { host: host.into(), guest, mode }).unwrap();
    }
    let folders = Folders::new(&grants);
    for (path, rest) in [
        ("/files/x/y", "x/y"),
        ("/files/inner/x", "x"),
        ("/files/innermost", "innermost"),
        ("/files", ""),
        ("/filesystem", "filesystem"),
        ("/x", "x"),
    ] {
        assert_eq!(folders.find(path).unwrap().1, rest, "{path}");
    }
    assert!(granted(Path::new("/a"), FolderMode::ReadOnly).find("/filesystem").is_err());
    assert!(granted(Path::new("/a"), FolderMode::ReadOnly).find("").is_err());
}

#[test]
fn paths_that_climb_or_hide_are_refused() {
    let long = "x".repeat(256);
    let longer = "x/".repeat(3_000) + "x";
    for path in [
        "",
        "/",
        ".",
        "..",
        "../x",
        "x/..",
        "x/../y",
        "x//y",
        "x/",
        "/x",
        "x\\y",
        "x\0y",
        ".stheno",
        ".stheno/x",
        ".STHENO/x",
        &long,
        &longer,
    ] {
        assert!(matches!(Below::parse(path, path), Err(Error::InvalidArgument(_))), "{path:?}");
    }
    for path in ["x", "x/y", ".x", "x/.stheno", "x..y", "%2e%2e", "ü"] {
        assert!(Below::parse(path, path).is_ok(), "{path}");
    }
}

#[tokio::test]
async fn a_folder_that_is_made_on_use_is_made_by_the_first_write() {
    let parent = TempDir::new().unwrap();
    let host = parent.path().join("a/b");
    let guest = GuestPath::new("/files").unwrap();
    let mode = FolderMode::ReadWrite;
    let folder = FolderGrant { host: host.clone(), guest, mode };
    let folders = Folders::new(&Grants::made_on_use(folder));
    let place = folders.find("/files").unwrap().0;
    assert!(place.existing().unwrap().is_none());
    assert!(!parent.path().join("a").exists());
    store(&place, "x", &[b"x"]).await.unwrap();
    assert!(host.join("x").exists());
    let missing = granted(&parent.path().join("missing"), FolderMode::ReadWrite);
    let error = missing.find("/files").unwrap().0.existing().err().unwrap();
    assert!(error.message().contains("grants.folders"), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn pages_are_what_sorting_gives(
        names in proptest::collection::btree_set("[ab-](/[a.-]){0,3}", 0..24),
        prefix in "[ab-]?(/[a-])?/?",
        limit in 1..6_usize,
    ) {
        let folder = TempDir::new().unwrap();
        let mut files = std::collections::BTreeSet::new();
        for name in names {
            let path = folder.path().join(&name);
            let made = std::fs::create_dir_all(path.parent().unwrap()).is_ok();
            if made && !name.ends_with("/.") && !name.contains("/./") && !path.exists() && std::fs::write(&path, "x").is_ok() {
                files.insert(name);
            }
        }
        let dir = place(folder.path()).existing().unwrap().unwrap();
        let expected: Vec<_> = files.into_iter().filter(|name| name.starts_with(&prefix)).collect();
        let mut listed: Vec<String> = Vec::new();
        loop {
            let page = walked(&dir, &prefix, listed.last().map(String::as_str), limit).unwrap();
            prop_assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        prop_assert_eq!(listed, expected);
    }
}
