//! Infrastructure modules for applications, served by sandboxed providers.
//!
//! An app needs a cache, events and the like, and should not care what is behind
//! them. [`Runtime`] gives it a typed handle per module; which component serves a
//! module, with which options, grants and limits, is the operator's to say, in
//! `stheno.toml`. Every provider runs in a WebAssembly sandbox: it can reach what
//! it was granted and nothing else, and if it crashes or loops, one call fails.
//!
//! ```
//! use std::time::Duration;
//!
//! use stheno::Runtime;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Without a config every module runs on its local provider.
//! let runtime = Runtime::builder().build().await?;
//!
//! let cache = runtime.cache();
//! cache.set("price:42", &12.5).ttl(Duration::from_secs(30)).tags(["product:42"]).await?;
//! assert_eq!(cache.get::<f64>("price:42").await?, Some(12.5));
//! cache.clear_tags(["product:42"]).await?;
//! assert_eq!(cache.get::<f64>("price:42").await?, None);
//!
//! let (seen, mut orders) = tokio::sync::mpsc::unbounded_channel();
//! runtime
//!     .events()
//!     .subscribe("order.*", "mailer", move |event| {
//!         let seen = seen.clone();
//!         async move { Ok(seen.send(event.json::<u64>()?)?) }
//!     })
//!     .await?;
//! runtime.events().publish("order.placed", &1001_u64).await?;
//! assert_eq!(orders.recv().await, Some(1001));
//!
//! runtime.shutdown().await?;
//! # Ok(()) }
//! ```

mod analytics;
mod cache;
mod error;
mod events;
mod files;
mod granted;
mod ids;
mod json;
mod locking;
mod notifications;
mod runtime;
mod workflows;

pub use analytics::{ActorGroup, Analytics, AnalyticsStatus, Identify, Track};
pub use cache::{
    Cache, ComputeError, Hit, MAX_ITEMS, MAX_KEY_BYTES, MAX_TAGS, MAX_VALUE_BYTES, NewEntry, Set,
};
pub use error::{Error, ErrorKind};
pub use events::{
    DeadLetter, DeadLetterPage, Delivery, Event, Events, Failure, Group, MAX_DATA_BYTES, NewEvent,
    Publish, Pulled, Subscribe, Subscriber, Subscription, SubscriptionStatus, Verdict,
};
pub use files::{
    Access, Download, FileInfo, FilePage, Files, LinkUse, MAX_FILE_LINK, MAX_FILE_METADATA,
    MAX_FILES_PER_CALL, MIN_FILE_LINK, NewFile, Range, UploadUrl,
};
pub use granted::granted;
pub use json::{JsonObject, MAX_OBJECT_BYTES};
pub use locking::{
    Acquire, ExecuteOptions, Held, Lease, Lock, LockPage, Locking, MAX_LOCK_KEY_BYTES,
    MAX_LOCK_KEYS,
};
pub use notifications::{
    Attachment, Content, Disposition, Labels, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS,
    NewNotification, Notification, NotificationFilter, NotificationPage, NotificationStatus,
    Notifications, OutboxAttachment, OutboxMessage, OutboxPage, SendAllError,
};
pub use runtime::{Builder, ProviderStatus, Runtime};
pub use stheno_config as config;
pub use stheno_engine::{Clock, Denied, ManualClock, ProviderInfo};
pub use workflows::{
    Cadence, Cause, CauseKind, Condition, ConditionPlace, ConditionTest, Define, Fault, Finished,
    IntoOutcome, MAX_RUN_BODY_BYTES, MAX_WORKFLOW_STEPS, OnFailure, Outcome, Overlap, PulledTasks,
    Retries, RunDetail, RunEnds, RunError, RunFilter, RunPage, RunState, RunStatus, RunWorkflow,
    Schedule, ScheduleStatus, StartRun, Started, Step, StepContext, StepDefinition, StepState,
    StepStatus, StepWork, StopSignal, Task, TaskAction, TaskSelector, TaskVerdict, Workflow,
    WorkflowDefinition, WorkflowStatus, WorkflowWorker, Workflows,
};
