//! `events-local` in a store, beside a writer in Rust on the same kind of file:
//! from publishing until the event is on the disk, and until it is handled.
//!
//! The native writer does the least that keeps an event until it is handled: a
//! task takes what has come, puts it in one transaction, commits and answers
//! everybody; a handled event is deleted in the transaction after. It has no
//! subscriptions, no leases and no attempts, and so one commit where the
//! provider has three: published, leased, settled.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, TableDefinition};
use stheno::config::{ByteSize, Config, ModuleName, StoreGrant, StoreLabel, StoreSize};
use stheno::{NewEvent, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::measure::{Row, closed_loop};

const BENCH: &str = "events-durable";
const BASELINE: &str = "redb, one writer";
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const BODY: usize = 150;

pub(crate) async fn run(span: Duration, print: &mut impl FnMut(Row)) -> anyhow::Result<()> {
    for callers in [1, 64] {
        let folder = tempfile::tempdir()?;
        let writer = NativeWriter::open(&folder.path().join("native.redb"))?;
        let baseline = closed_loop(callers, span, move |_, _| {
            let writer = writer.clone();
            async move { writer.publish(vec![b'x'; BODY]).await }
        })
        .await?;

        for handled in [false, true] {
            let runtime = runtime(&folder.path().join(format!("{handled}.redb"))).await?;
            let events = runtime.events().clone();
            if handled {
                events.subscribe("*", "bench", |_| async { Ok(()) }).concurrency(256).await?;
            }
            let publisher = events.clone();
            let measured = closed_loop(callers, span, move |_, _| {
                let events = publisher.clone();
                async move {
                    let event = NewEvent::bytes("order.placed", vec![b'x'; BODY]);
                    events.publish_all(vec![event]).await?;
                    Ok(())
                }
            })
            .await?;
            runtime.shutdown().await?;
            let case = if handled { "published, and handled" } else { "published, nobody there" };
            print(measured.row(BENCH, case, callers, Some((BASELINE, baseline))));
        }
    }
    Ok(())
}

async fn runtime(file: &Path) -> anyhow::Result<Runtime> {
    let mut config = Config::default();
    let events = config.modules.get_mut(ModuleName::Events);
    let max_size = StoreSize::new(ByteSize::gib(1))?;
    let grant = StoreGrant { path: file.to_owned(), max_size };
    // The publishers of a closed loop wait for nobody who handles.
    events.options.insert("max_events".to_owned(), 180_000.into());
    events.grants.add_store(StoreLabel::new("default")?, grant);
    Ok(Runtime::builder().config(config).build().await?)
}

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// Group commit by hand.
#[derive(Clone)]
struct NativeWriter(mpsc::Sender<Waiting>);

impl NativeWriter {
    fn open(file: &Path) -> anyhow::Result<Self> {
        let database = Arc::new(Database::create(file)?);
        let (sender, mut receiver) = mpsc::channel::<Waiting>(1_024);
        std::thread::spawn(move || -> anyhow::Result<()> {
            let mut next = 0_u64;
            let mut handled = Vec::new();
            while let Some(first) = receiver.blocking_recv() {
                let mut replies = Vec::new();
                let write = database.begin_write()?;
                {
                    let mut table = write.open_table(TABLE)?;
                    for number in handled.drain(..) {
                        table.remove(number)?;
                    }
                    let mut one = Some(first);
                    while let Some((body, reply)) = one {
                        table.insert(next, body.as_slice())?;
                        handled.push(next);
                        next += 1;
                        replies.push(reply);
                        one = receiver.try_recv().ok();
                    }
                }
                write.commit()?;
                for reply in replies {
                    // A caller that went away does not want its answer.
                    let _ = reply.send(());
                }
            }
            Ok(())
        });
        Ok(Self(sender))
    }

    async fn publish(&self, body: Vec<u8>) -> anyhow::Result<()> {
        let (reply, answer) = oneshot::channel();
        self.0.send((body, reply)).await?;
        Ok(answer.await?)
    }
}
