//! Several stores, each by its id.

use std::path::Path;
use std::time::Duration;

use stheno::config::{CompileCache, Config, ConfigError, ModuleName};
use stheno::{ErrorKind, Files, LinkUse, NewFile, Runtime};
use stheno_test_support::{compile_cache, guest};
use tempfile::TempDir;

/// A store for each id, in a folder of that name; `main` is the default.
async fn start(folder: &TempDir, ids: &[&str]) -> Result<Runtime, ConfigError> {
    let local = guest("files-local");
    let mut text = "[server]\npublic_url = \"https://files.example\"\n".to_owned();
    for id in ids {
        let host = folder.path().join(id);
        text += &format!(
            "[[modules.files.providers]]\nid = \"{id}\"\nresolve = {:?}\ndefault = {}\n\
             grants.folders = [{{ host = {:?}, guest = \"/files\", mode = \"read-write\" }}]\n",
            local.to_str().unwrap(),
            *id == "main",
            host.to_str().unwrap(),
        );
        std::fs::create_dir_all(host).unwrap();
    }
    let mut config = Config::parse(&text, "stheno.toml", Path::new("/"), &|_| None)?;
    let cache = compile_cache(env!("CARGO_TARGET_TMPDIR"));
    config.runtime.compile_cache = CompileCache::Folder(cache);
    Runtime::builder().config(config).build().await
}

async fn read(files: &Files, key: &str) -> Result<Vec<u8>, ErrorKind> {
    match files.get(key).await {
        Ok(download) => download.bytes().await.map_err(|error| error.kind()),
        Err(error) => Err(error.kind()),
    }
}

#[tokio::test]
async fn each_store_has_its_own_files_and_calls_without_a_name_go_to_the_default() {
    let folder = TempDir::new().unwrap();
    let runtime = start(&folder, &["logs", "main", "public"]).await.unwrap();
    let ids: Vec<_> = runtime.file_stores().map(Files::id).collect();
    assert_eq!(ids, ["logs", "main", "public"]);
    assert_eq!(runtime.files().id(), "main");
    let (main, logs) = (runtime.files_of("main").unwrap(), runtime.files_of("logs").unwrap());
    let one = runtime.files().put_bytes(NewFile::new("a"), *b"main").await.unwrap();
    let other = logs.put_bytes(NewFile::new("a"), *b"logs").await.unwrap();
    assert_eq!(read(main, &one.key).await.unwrap(), b"main");
    assert_eq!(read(logs, &other.key).await.unwrap(), b"logs");
    assert_eq!(read(logs, &one.key).await, Err(ErrorKind::NotFound));
    assert_eq!(read(main, &other.key).await, Err(ErrorKind::NotFound));
    assert_eq!(logs.list("", None, 10).await.unwrap().files, [other]);
    let unknown = runtime.files_of("none").err().unwrap();
    assert_eq!(unknown.kind(), ErrorKind::InvalidArgument);
    assert_eq!(unknown.message(), "store: there is none \"none\"; there are: logs, main, public");
    // Every one of them is asked whether it can serve.
    let all = runtime.status().await;
    let files = all.iter().filter(|status| status.module == ModuleName::Files);
    let shown: Vec<_> = files.map(|status| (status.id.as_deref(), status.health.is_ok())).collect();
    assert_eq!(shown, [(Some("logs"), true), (Some("main"), true), (Some("public"), true)]);
    runtime.shutdown().await.unwrap();
    assert!(runtime.files_of("logs").unwrap().stat("a").await.is_err());
}

#[tokio::test]
async fn links_and_plain_urls_lead_to_the_store_that_they_were_made_for() {
    let folder = TempDir::new().unwrap();
    let runtime = start(&folder, &["main", "other"]).await.unwrap();
    let other = runtime.files_of("other").unwrap();
    let minute = Duration::from_secs(60);
    for (files, plain) in [(runtime.files(), "/files/"), (other, "/stores/other/")] {
        let stored = files.put_bytes(NewFile::new("a").public(), *b"x").await.unwrap();
        assert_eq!(stored.url, Some(format!("https://files.example{plain}{}", stored.key)));
        let url = files.download_url(&stored.key, minute).await.unwrap();
        let (_, token) = url.split_once("token=").unwrap();
        let read = LinkUse::Read { store: files.id().to_owned(), key: stored.key };
        // Any store of the runtime can say what a link is for.
        assert_eq!(runtime.files().redeem(token), Ok(read));
        let upload = files.upload_url(NewFile::new("b"), minute).await.unwrap();
        let (_, token) = upload.url.split_once("token=").unwrap();
        let LinkUse::Write { store, key, .. } = other.redeem(token).unwrap() else {
            panic!("it is to upload");
        };
        assert_eq!((store.as_str(), key), (files.id(), upload.key));
    }
}

#[tokio::test]
async fn a_store_of_a_list_without_a_grant_is_refused_at_its_place() {
    let text = "[[modules.files.providers]]\nid = \"a\"\n[[modules.files.providers]]\nid = \"b\"\n";
    let config = Config::parse(text, "stheno.toml", Path::new("/"), &|_| None).unwrap();
    let error = Runtime::builder().config(config).check().await.unwrap_err();
    let problem = &error.problems()[0];
    assert!(problem.place.starts_with("modules.files.providers["), "{problem:?}");
    assert!(problem.help.contains("folders"), "{problem:?}");
}
