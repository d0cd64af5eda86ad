//! `files-local` behind the embed API, beside `tokio::fs`: 100 MiB up and down,
//! and how much memory that takes.
//!
//! The native upload does what a store must do too: it writes aside, syncs and
//! renames. Both read from the page cache.

use stheno::config::{FolderGrant, FolderMode, Grants, GuestPath, ModuleName};
use stheno::{Files, NewFile, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::measure::Row;
use crate::transfer::{CHUNK, ROUNDS, Sum, drain, peak, reset_peak, resident, source};

const BENCH: &str = "files-local";
const BASELINE: &str = "tokio::fs";

pub(crate) async fn run(print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut config = stheno::config::Config::default();
    let mut grants = Grants::default();
    let host = folder.path().join("files");
    std::fs::create_dir(&host)?;
    let guest = GuestPath::new("/files")?;
    grants.add_folder(FolderGrant { host, guest, mode: FolderMode::ReadWrite })?;
    config.modules.get_mut(ModuleName::Files).grants = grants;
    let runtime = Runtime::builder().config(config).build().await?;
    let files = runtime.files().clone();
    let native = folder.path().join("native");
    let stored = files.put(NewFile::new("warm"), source()).await?;
    files.delete([stored.key]).await?;
    let idle = resident()?;
    reset_peak()?;

    let (mut ours, mut theirs) = (Sum::new(), Sum::new());
    let (mut ours_down, mut theirs_down) = (Sum::new(), Sum::new());
    // In turn, so that both meet the same machine.
    for _ in 0..ROUNDS {
        theirs.add(async { native_up(&native).await }).await?;
        theirs_down.add(async { drain(tokio::fs::File::open(&native).await?).await }).await?;
        std::fs::remove_file(&native)?;
        let mut key = String::new();
        ours.add(async {
            key = files.put(NewFile::new("bench.bin"), source()).await?.key;
            Ok(())
        })
        .await?;
        ours_down.add(async { drain(files.get(&key).await?).await }).await?;
        remove(&files, key).await?;
    }
    print(ours.measured().row(BENCH, "put 100 MiB", 1, Some((BASELINE, theirs.measured()))));
    let down = ours_down.measured();
    print(down.row(BENCH, "get 100 MiB", 1, Some((BASELINE, theirs_down.measured()))));
    let above = peak()?.saturating_sub(idle) / 1024;
    eprintln!("{BENCH}: peak memory {above} MiB above idle, the native side's included");
    runtime.shutdown().await?;
    Ok(())
}

async fn remove(files: &Files, key: String) -> anyhow::Result<()> {
    for removed in files.delete([key]).await? {
        removed?;
    }
    Ok(())
}

async fn native_up(path: &std::path::Path) -> anyhow::Result<()> {
    let aside = path.with_extension("part");
    let mut file = tokio::fs::File::create(&aside).await?;
    let mut source = source();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = source.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        file.write_all(chunk.get(..read).unwrap_or_default()).await?;
    }
    file.flush().await?;
    file.sync_all().await?;
    tokio::fs::rename(aside, path).await?;
    Ok(())
}
