//! The process that is killed: durable events and workflows through the embed API.
//!
//! It says on standard output what it does and what it was told by the runtime,
//! one line each, as soon as it knows; its parent reads that to the end and holds
//! it against what later processes find. A pipe keeps what was written to it when
//! the writer dies, and keeps it in order.
//!
//! | line | after |
//! |---|---|
//! | `ready` | the runtime has started |
//! | `published NAME` | a publication of it returned well |
//! | `staged GROUP` | all events of the group were staged |
//! | `released GROUP COUNT` | a release returned well |
//! | `handling NAME` | a pull brought it, nothing was settled yet |
//! | `settled NAME` | its outcome was recorded |
//! | `drained` | nothing waits, nothing is leased, every run has ended |
//!
//! The lines about runs are those of `workflows`.
//!
//! On standard input it is told what earlier processes left, to its end:
//!
//! | line | means |
//! |---|---|
//! | `group NAME` | the group was staged, and nobody knows of a release |
//! | `run NAME` | the run was asked for, and may have begun |
//! | `finished RUN STATE` | this was said |

mod workflows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use stheno::config::{
    ByteSize, CompileCache, Config, ModuleName, ProviderConfig, Resolve, StoreGrant, StoreLabel,
    StoreSize,
};
use stheno::{Events, NewEvent, Runtime, Subscription, Verdict};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use workflows::Runs;

/// Events of one group.
const GROUP: usize = 5;
const PUBLISHERS: usize = 4;
const STARTERS: usize = 2;
/// Published and not handled, at most.
const OUTSTANDING: usize = 400;
/// So soon the next process gets what a dead one had leased.
const LEASE: Duration = Duration::from_millis(50);
/// What has not come to an end by then never will.
const LONG: Duration = Duration::from_secs(60);
const ID: &str = "s";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("EVENTS WORKFLOWS CACHE FOLDER ROUND");
    let (events, workflows, cache, folder) = (next()?, next()?, next()?, next()?);
    let round = next()?;
    let left = Left::read()?;

    let mut config = Config::default();
    config.runtime.compile_cache = CompileCache::Folder(cache.into());
    let folder = PathBuf::from(folder);
    let mut builder = Runtime::builder().config(config);
    let events = durable(events, folder.join("events.redb"))?;
    builder = builder.provider(ModuleName::Events, events);
    let mut workflows = durable(workflows, folder.join("workflows.redb"))?;
    // No number of dead processes makes a step fail.
    workflows.options.insert("lost_workers".to_owned(), 1_000_000.into());
    builder = builder.provider(ModuleName::Workflows, workflows);
    let runtime = builder.build().await?;
    println!("ready");

    let events = runtime.events().clone();
    let pattern = "*".to_owned();
    let subscription = Subscription { id: ID.to_owned(), pattern, retained: true, idle_ttl: None };
    events.create_subscription(subscription).await?;
    let runs = Runs::define(runtime.workflows().clone(), &round, left.finished).await?;
    for group in left.groups {
        let count = events.group(&group).release().await?;
        println!("released {group} {count}");
    }
    for run in left.runs {
        runs.begin(&run).await?;
    }
    if round == "drain" {
        // A run that is done publishes.
        runs.drain().await?;
        timeout(LONG, drain(&events)).await.context("events are handled without end")??;
        println!("drained");
        return Ok(runtime.shutdown().await?);
    }

    let mut work = JoinSet::new();
    let room = Arc::new(Semaphore::new(OUTSTANDING));
    for publisher in 0..PUBLISHERS {
        let (events, room) = (events.clone(), Arc::clone(&room));
        let who = format!("{round}-{publisher}");
        work.spawn(async move { publish(&events, &room, &who).await });
    }
    let who = format!("{round}-g");
    work.spawn({
        let (events, room) = (events.clone(), Arc::clone(&room));
        async move { stage_and_release(&events, &room, &who).await }
    });
    work.spawn(async move {
        loop {
            handle(&events, Duration::from_secs(1), Some(&room)).await?;
        }
    });
    let waiting = runs.waiting().await?;
    for starter in 0..STARTERS {
        let runs = runs.clone();
        work.spawn(async move { runs.start(starter).await });
    }
    work.spawn(async move { runs.complete(waiting).await });
    while let Some(ended) = work.join_next().await {
        ended??;
    }
    bail!("all of it ended by itself")
}

/// What earlier processes left.
#[derive(Default)]
struct Left {
    groups: Vec<String>,
    runs: Vec<String>,
    /// Of which the end was told: run and state.
    finished: Vec<String>,
}

impl Left {
    fn read() -> anyhow::Result<Self> {
        let mut left = Self::default();
        for line in std::io::read_to_string(std::io::stdin())?.lines() {
            match line.split_once(' ') {
                Some(("group", name)) => left.groups.push(name.to_owned()),
                Some(("run", name)) => left.runs.push(name.to_owned()),
                Some(("finished", run)) => left.finished.push(run.to_owned()),
                _ => bail!("{line:?} on standard input means nothing"),
            }
        }
        Ok(left)
    }
}

/// A provider that keeps everything in this file.
fn durable(guest: String, path: PathBuf) -> anyhow::Result<ProviderConfig> {
    let mut provider = ProviderConfig::new(Resolve::File(guest.into()));
    let grant = StoreGrant { path, max_size: StoreSize::new(ByteSize::gib(1))? };
    provider.grants.add_store(StoreLabel::new("default")?, grant);
    Ok(provider)
}

/// An event that no number of dead processes makes a dead letter.
fn event(name: &str) -> NewEvent {
    NewEvent { attempts: Some(u32::MAX), ..NewEvent::bytes(name, vec![b'x'; 100]) }
}

async fn publish(events: &Events, room: &Semaphore, who: &str) -> anyhow::Result<()> {
    for number in 0_usize.. {
        // One to three at a time: all or none of them.
        let names: Vec<_> = (0..=number % 3).map(|n| format!("{who}-{number}-{n}")).collect();
        room.acquire_many(u32::try_from(names.len())?).await?.forget();
        events.publish_all(names.iter().map(|name| event(name)).collect()).await?;
        for name in names {
            println!("published {name}");
        }
    }
    Ok(())
}

async fn stage_and_release(events: &Events, room: &Semaphore, who: &str) -> anyhow::Result<()> {
    for number in 0_usize.. {
        let name = format!("{who}-{number}");
        let group = events.group(&name);
        room.acquire_many(u32::try_from(GROUP)?).await?.forget();
        group.stage((0..GROUP).map(|n| event(&format!("{name}/{n}"))).collect()).await?;
        println!("staged {name}");
        let count = group.release().await?;
        println!("released {name} {count}");
    }
    Ok(())
}

/// Takes what is due and settles it; says how much it was.
async fn handle(
    events: &Events,
    wait: Duration,
    room: Option<&Semaphore>,
) -> anyhow::Result<usize> {
    let deliveries = events.pull(ID, 100, wait, LEASE).await?;
    let count = deliveries.len();
    for delivery in &deliveries {
        println!("handling {}", delivery.event.name);
    }
    let outcomes = deliveries.iter().map(|d| (d.token.clone(), Verdict::Handled)).collect();
    let lost = events.settle(outcomes).await?;
    for delivery in deliveries.iter().filter(|delivery| !lost.contains(&delivery.token)) {
        println!("settled {}", delivery.event.name);
        if let Some(room) = room {
            room.add_permits(1);
        }
    }
    Ok(count)
}

async fn drain(events: &Events) -> anyhow::Result<()> {
    loop {
        handle(events, LEASE, None).await?;
        let all = events.subscriptions().await?;
        if all.iter().all(|status| status.waiting + status.leased == 0) {
            return Ok(());
        }
    }
}
