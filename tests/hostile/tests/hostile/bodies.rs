//! Paths that a guest forges for `stheno:folders`.

use std::path::Path;

use stheno::config::{FolderGrant, FolderMode, GuestPath, Limits};
use stheno_engine::LoadError;
use stheno_hostile::{Guest, ask, denied, terms, try_load};
use tempfile::TempDir;

use crate::engine;

const FORGER: &str = "folders-cache";

async fn granted(host: &Path, mode: FolderMode) -> Guest {
    let mut terms = terms(Limits::default());
    let guest = GuestPath::new("/files").unwrap();
    terms.grants.add_folder(FolderGrant { host: host.to_owned(), guest, mode }).unwrap();
    try_load(&engine(), FORGER, terms).await.unwrap()
}

/// A folder `open` to be granted, beside a file that is not in it.
fn place() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("hello"), "hello").unwrap();
    for (name, to) in [("link", "../secret"), ("up", ".."), ("root", "/")] {
        std::os::unix::fs::symlink(to, open.join(name)).unwrap();
    }
    (folder, open)
}

async fn told(guest: &Guest, key: &str) -> String {
    ask(guest, key).await.unwrap()
}

#[tokio::test]
async fn without_a_grant_it_is_not_even_loaded() {
    let error = try_load(&engine(), FORGER, terms(Limits::default())).await.err().unwrap();
    let LoadError::MissingGrant { line, .. } = error else { panic!("{error:?}") };
    assert!(line.contains("grants.folders"), "{line}");
}

#[tokio::test]
async fn within_the_folder_it_may_do_what_was_granted() {
    let (_folder, open) = place();
    let guest = granted(&open, FolderMode::ReadWrite).await;
    assert_eq!(told(&guest, "ready:/files").await, "ready");
    assert_eq!(told(&guest, "tail:/files/hello").await, "hello");
    assert_eq!(told(&guest, "open:/files/hello").await, "h");
    assert_eq!(told(&guest, "create:/files/a/new").await, "created");
    assert_eq!(told(&guest, "list:/files").await, "a/new\nhello");
    assert_eq!(told(&guest, "remove:/files/hello").await, "removed");
    let guest = granted(&open, FolderMode::ReadOnly).await;
    assert_eq!(told(&guest, "tail:/files/a/new").await, "forged");
    for key in ["create:/files/b", "remove:/files/a/new", "abandon:/files/b"] {
        assert!(told(&guest, key).await.starts_with("error: "), "{key}");
    }
    assert_eq!(denied(&guest, "folders"), 3);
    assert_eq!(told(&guest, "list:/files").await, "a/new");
}

#[tokio::test]
async fn no_forged_path_leads_out_of_the_folder() {
    let (folder, open) = place();
    let guest = granted(&open, FolderMode::ReadWrite).await;
    let long = format!("/files/{}", "x".repeat(10_000));
    let deep = format!("/files/{}x", "x/".repeat(1_000));
    for path in [
        "",
        "/",
        "/files",
        "/files/",
        "files/hello",
        "hello",
        "/etc/passwd",
        "/files/../secret",
        "/files/x/../../secret",
        "/files/./hello",
        "/files//hello",
        "/files/hello/",
        "/files/link",
        "/files/up/secret",
        "/files/up/new",
        "/files/root/etc/passwd",
        "/files/..\\secret",
        "/files/\0",
        "/files/hello\0",
        "/files/.stheno",
        "/files/.stheno/x",
        "/files/.Stheno/x",
        "/filesystem/hello",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/\u{ff0e}\u{ff0e}/secret",
        &long,
        &deep,
    ] {
        for what in ["tail", "open", "remove"] {
            let answer = told(&guest, &format!("{what}:{path}")).await;
            // A link may be removed: it is the folder's own.
            let own = what == "remove" && path == "/files/link";
            assert!(answer.starts_with("error: ") || own, "{what}:{path}: {answer}");
        }
        let created = told(&guest, &format!("create:{path}")).await;
        let inside = ["/files/link", "/files/%2e%2e/secret", "/files/..%2fsecret"].contains(&path)
            || path.contains('\u{ff0e}')
            || path == deep;
        assert!(created.starts_with("error: ") || inside, "create:{path}: {created}");
    }
    for folder in ["/", "/etc", "/files/up", "/files/..", "", "/files/.stheno"] {
        for what in ["list", "ready"] {
            let answer = told(&guest, &format!("{what}:{folder}")).await;
            assert!(answer.starts_with("error: "), "{what}:{folder}: {answer}");
        }
    }
    assert_eq!(std::fs::read(folder.path().join("secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read(open.join("hello")).unwrap(), b"hello");
    let outside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(outside.len(), 2, "{outside:?}");
}

#[tokio::test]
async fn half_a_file_is_gone_with_its_call() {
    let (_folder, open) = place();
    let guest = granted(&open, FolderMode::ReadWrite).await;
    assert_eq!(told(&guest, "abandon:/files/half").await, "abandoned");
    assert!(!open.join("half").exists());
    let gone = async {
        while std::fs::read_dir(open.join(".stheno")).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.unwrap();
}

#[tokio::test]
async fn handles_run_out_before_descriptors_do() {
    let (_folder, open) = place();
    let guest = granted(&open, FolderMode::ReadOnly).await;
    let limit = Limits::default().handles.get();
    for _ in 0..3 {
        let had: u32 = told(&guest, "hoard:/files/hello").await.parse().unwrap();
        assert!(had > 0 && had <= limit, "{had}");
    }
}
