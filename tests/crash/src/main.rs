//! The process that is killed: durable events and workflows through the embed API.
//!
//! It says on standard output what it was told by the runtime, one line each,
//! as soon as it knows; its parent reads that to the end and holds it against
//! what later processes find.
//!
//! | line | after |
//! |---|---|
//! | `ready` | the runtime has started |
//! | `published NAME` | a publication of it returned well |
//! | `staged GROUP` | all events of the group were staged |
//! | `released GROUP COUNT` | a release returned well |
//! | `handling NAME` | a pull brought it, nothing was settled yet |
//! | `settled NAME` | its outcome was recorded |
//! | `accepted RUN` | a start of it returned well |
//! | `did RUN STEP` | a step is about to say that it is done |
//! | `undid RUN STEP` | a compensation is about to say so |
//! | `ended RUN STATE` | it was found ended, at the very end |
//! | `drained` | nothing waits, nothing is leased, every run has ended |

mod workflows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use stheno::config::{
    ByteSize, CompileCache, Config, ModuleName, ProviderConfig, Resolve, StoreGrant, StoreLabel,
    StoreSize,
};
use stheno::{Events, NewEvent, Runtime, Subscription, Verdict};
use tokio::sync::Semaphore;

/// Events of one group.
const GROUP: usize = 5;
const PUBLISHERS: usize = 4;
/// Published and not handled, at most.
const OUTSTANDING: usize = 400;
/// So soon the next process gets what a dead one had leased.
const LEASE: Duration = Duration::from_millis(50);
const ID: &str = "s";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("EVENTS WORKFLOWS CACHE FOLDER ROUND [GROUP...]");
    let (guest, flows, cache, folder) = (next()?, next()?, next()?, next()?);
    let round = next()?;
    let groups: Vec<String> = arguments.collect();

    let mut config = Config::default();
    config.runtime.compile_cache = CompileCache::Folder(cache.into());
    let mut builder = Runtime::builder().config(config);
    for (module, guest, file) in [
        (ModuleName::Events, guest, "events.redb"),
        (ModuleName::Workflows, flows, "workflows.redb"),
    ] {
        let mut provider = ProviderConfig::new(Resolve::File(guest.into()));
        let max_size = StoreSize::new(ByteSize::gib(1))?;
        let grant = StoreGrant { path: PathBuf::from(&folder).join(file), max_size };
        provider.grants.add_store(StoreLabel::new("default")?, grant);
        builder = builder.provider(module, provider);
    }
    let runtime = builder.build().await?;
    println!("ready");

    let events = runtime.events().clone();
    let pattern = "*".to_owned();
    let subscription = Subscription { id: ID.to_owned(), pattern, retained: true, idle_ttl: None };
    events.create_subscription(subscription).await?;
    let flows = runtime.workflows().clone();
    workflows::define(&flows).await?;
    // What an earlier process staged and did not see released.
    for group in groups {
        let count = events.group(&group).release().await?;
        println!("released {group} {count}");
    }
    if round == "drain" {
        drain(&events).await?;
        workflows::drain(&flows).await?;
        println!("drained");
        runtime.shutdown().await?;
        return Ok(());
    }

    let room = Arc::new(Semaphore::new(OUTSTANDING));
    for publisher in 0..PUBLISHERS {
        let (events, room) = (events.clone(), Arc::clone(&room));
        let who = format!("{round}-{publisher}");
        tokio::spawn(async move { publish(&events, &room, &who).await });
    }
    let who = format!("{round}-g");
    tokio::spawn({
        let (events, room) = (events.clone(), Arc::clone(&room));
        async move { stage_and_release(&events, &room, &who).await }
    });
    let places = Arc::new(Semaphore::new(2));
    for starter in 0..2 {
        let (flows, places) = (flows.clone(), Arc::clone(&places));
        let who = format!("{round}-w{starter}");
        tokio::spawn(async move { workflows::start(&flows, &places, &who).await });
    }
    loop {
        handle(&events, Duration::from_secs(1), Some(&room)).await?;
    }
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
