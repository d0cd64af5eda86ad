//! The compile cache holds native code, so it is used only where nobody else
//! can have put it there.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use stheno_config::Limits;
use stheno_engine::Engine;
use stheno_hostile::{ask, load};

use crate::{MANY, ONE};

/// Loads the guest with this folder as the cache and has it answer.
async fn serves(folder: &Path, guest: &str) {
    let engine = Engine::new(Some(folder)).unwrap();
    let loaded = load(&engine, guest, Limits::default()).await;
    assert_eq!(loaded.description().name, guest);
    assert_eq!(ask(&loaded, "echo:here").await.as_deref(), Ok("here"));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn only_file(folder: &Path) -> PathBuf {
    let files = files(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// A compilation ends with a new file in the place of the old one.
fn inode(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().ino()
}

#[tokio::test]
async fn a_component_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    serves(folder.path(), MANY).await;
    let file = only_file(folder.path());
    let first = inode(&file);
    serves(folder.path(), MANY).await;
    assert_eq!((only_file(folder.path()), inode(&file)), (file.clone(), first));
    // Another component has a file of its own.
    serves(folder.path(), ONE).await;
    assert_eq!(files(folder.path()).len(), 2);
    assert_eq!(inode(&file), first);
}

#[tokio::test]
async fn a_damaged_file_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    serves(folder.path(), MANY).await;
    let file = only_file(folder.path());
    let whole = std::fs::read(&file).unwrap();
    let changed = |at: usize| {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changed
    };
    let last = whole.len() - 1;
    for damaged in [
        Vec::new(),
        b"not code".to_vec(),
        whole[..last].to_vec(),
        whole[..40].to_vec(),
        [whole.as_slice(), b"more"].concat(),
        changed(0),
        changed(20),
        changed(last / 2),
        changed(last),
    ] {
        std::fs::write(&file, damaged).unwrap();
        let before = inode(&file);
        serves(folder.path(), MANY).await;
        assert_ne!(inode(&file), before);
        assert!(std::fs::read(&file).unwrap().len() > 40);
    }
}

#[tokio::test]
async fn the_code_of_one_component_never_serves_for_another() {
    let folder = tempfile::tempdir().unwrap();
    serves(folder.path(), MANY).await;
    let many = only_file(folder.path());
    serves(folder.path(), ONE).await;
    let one = files(folder.path()).into_iter().find(|file| *file != many).unwrap();
    let code = std::fs::read(&one).unwrap();
    std::fs::write(&many, &code).unwrap();
    serves(folder.path(), MANY).await;
    assert_ne!(std::fs::read(&many).unwrap(), code);
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_neither_read_nor_written() {
    let folder = tempfile::tempdir().unwrap();
    serves(folder.path(), MANY).await;
    let file = only_file(folder.path());
    let one_file = inode(&file);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    serves(folder.path(), ONE).await;
    assert_eq!((only_file(folder.path()), inode(&file)), (file.clone(), one_file));
    // What lies there is not taken, were it damaged or not.
    std::fs::write(&file, "not code").unwrap();
    serves(folder.path(), MANY).await;
    assert_eq!(std::fs::read(&file).unwrap(), b"not code");
}

#[tokio::test]
async fn a_file_that_others_could_have_written_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    serves(folder.path(), MANY).await;
    let file = only_file(folder.path());
    for mode in [0o620, 0o602, 0o666] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let before = inode(&file);
        serves(folder.path(), MANY).await;
        assert_ne!(inode(&file), before, "{mode:o}");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn code_that_is_used_is_not_what_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    serves(folder.path(), MANY).await;
    let many = only_file(folder.path());
    let used = |file: &Path| std::fs::metadata(file).unwrap().modified().unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400 * 29);
    let old = std::fs::File::options().write(true).open(&many).unwrap();
    old.set_modified(long_ago).unwrap();
    // To read it is to use it.
    serves(folder.path(), MANY).await;
    assert!(used(&many) > long_ago + std::time::Duration::from_secs(86_400 * 28));
    // Nobody uses it for a month; another component is compiled, and it goes.
    old.set_modified(long_ago - std::time::Duration::from_secs(86_400 * 2)).unwrap();
    serves(folder.path(), ONE).await;
    assert!(!many.exists());
    serves(folder.path(), MANY).await;
    assert_eq!(files(folder.path()).len(), 2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_costs_the_cache_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    serves(&file.join("cache"), MANY).await;
    assert_eq!(std::fs::read(&file).unwrap(), b"in the way");
}
