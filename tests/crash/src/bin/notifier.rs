//! The process that is killed while it sends: notifications with records in a file.
//!
//! It says on standard output what it knows, one line each, as soon as it knows:
//!
//! | line | after |
//! |---|---|
//! | `known STATUS KEY` | the records of earlier processes, at the start |
//! | `ready` | all of those were said |
//! | `sent KEY ID` | a send returned well |
//! | `unsure KEY` | a send was refused, because the key may have gone out |
//! | `done` | nothing more is to be sent |
//!
//! Beside these are the lines of the log, in which the provider says what went out.

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use stheno::config::{CompileCache, Config, ModuleName, ProviderConfig, RecordsFile, Resolve};
use stheno::{Content, ErrorKind, NewNotification, NotificationFilter, Notifications, Runtime};

/// Sends at the same time.
const AT_ONCE: usize = 16;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stdout).init();
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("GUEST CACHE RECORDS ROUND [KEY...]");
    let (guest, cache, records, round) = (next()?, next()?, next()?, next()?);
    let again: Vec<String> = arguments.collect();

    let mut config = Config::default();
    config.runtime.compile_cache = CompileCache::Folder(cache.into());
    config.modules.notification_records = Some(RecordsFile::new(records));
    let provider = ProviderConfig::new(Resolve::File(guest.into()));
    let builder = Runtime::builder().config(config).provider(ModuleName::Notifications, provider);
    let runtime = builder.build().await?;
    let notifications = runtime.notifications();
    let mut after = None;
    loop {
        let filter = NotificationFilter::default();
        let page = notifications.list(filter, after.as_deref(), 1_000).await?;
        for record in page.items {
            println!("known {} {}", record.status, record.to);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    println!("ready");
    let fresh = (0_u64..).map(|number| format!("{round}-{number}"));
    let fresh = fresh.take(if round == "check" { 0 } else { usize::MAX });
    let mut sends = stream::iter(again.into_iter().chain(fresh))
        .map(|key| send(notifications, key))
        .buffer_unordered(AT_ONCE);
    while let Some(sent) = sends.next().await {
        println!("{}", sent?);
    }
    println!("done");
    Ok(runtime.shutdown().await?)
}

/// The recipient is the key, so that the log says which one went out.
async fn send(notifications: &Notifications, key: String) -> anyhow::Result<String> {
    let content = Content { text: Some("hello".to_owned()), ..Content::default() };
    let new = NewNotification::content("email", &key, content).key(&key);
    match notifications.send(new).await {
        Ok(record) => Ok(format!("sent {key} {}", record.id)),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(format!("unsure {key}")),
        Err(error) => bail!("{key}: {error}"),
    }
}
