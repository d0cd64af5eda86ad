//! The contracts in `wit/`, as the host sees them.
//!
//! This crate is the output of [`wasmtime::component::bindgen!`] and the few
//! Rust types that the output refers to: what stands behind a handle ([`body`],
//! [`store`]) and how a host function fails ([`HostError`]). Nothing else
//! belongs here: it compiles slowly, and all other host crates wait for it.
//!
//! [`base`] holds what every provider imports and the lifecycle it exports; each
//! module adds only its own interface, so that a component is bound to as many
//! of them as it exports, over one instance.
//!
//! ```
//! use stheno_contracts::{Error, cache::Entry};
//!
//! let entry = Entry { key: "price:42".into(), value: b"12.50".to_vec(), ttl_ms: Some(30_000), tags: vec![] };
//! let error = Error::InvalidArgument("key is empty".into());
//! assert_eq!(error.kind(), "invalid-argument");
//! assert_eq!(error.message(), "key is empty");
//! # let _ = entry;
//! ```

pub mod body;
mod error;
pub mod store;

pub use base::stheno::host;
pub use base::stheno::provider::types::Error;
pub use error::HostError;

/// What providers import, and the lifecycle that they export.
pub mod base {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package stheno:host-side;
            world base {
                include stheno:worlds/base@0.1.0;
                import stheno:store/required@0.1.0;
                import stheno:store/optional@0.1.0;
            }
        ",
        world: "stheno:host-side/base",
        imports: {
            "stheno:host/streams": async | trappable,
            "stheno:store/types": async | trappable,
            "stheno:store/required": async | trappable,
            "stheno:store/optional.open": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "stheno:host/streams.reader": crate::body::Reader,
            "stheno:host/streams.writer": crate::body::Writer,
            "stheno:store/types.store": crate::store::Store,
        },
        trappable_error_type: { "stheno:provider/types.error" => crate::HostError },
    });

    pub use exports::stheno::provider::lifecycle;
}

/// The cache module's interface.
pub mod cache {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world cache { export stheno:cache/cache@0.1.0; }",
        world: "stheno:host-side/cache",
        exports: { default: async },
        with: { "stheno:provider/types": crate::base::stheno::provider::types },
        require_store_data_send: true,
    });

    pub use exports::stheno::cache::cache::{Entry, Hit};
}

/// The events module's interface.
pub mod events {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world events { export stheno:events/events@0.1.0; }",
        world: "stheno:host-side/events",
        exports: { default: async },
        with: { "stheno:provider/types": crate::base::stheno::provider::types },
        require_store_data_send: true,
    });

    pub use exports::stheno::events::events::{
        Backoff, DeadLetter, DeadLetterPage, Delivery, Event, Message, Outcome, Pulled,
        Subscription, SubscriptionStatus, Verdict,
    };
}

/// The locking module's interface.
pub mod locking {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world locking { export stheno:locking/locking@0.1.0; }",
        world: "stheno:host-side/locking",
        exports: { default: async },
        with: { "stheno:provider/types": crate::base::stheno::provider::types },
        require_store_data_send: true,
    });

    pub use exports::stheno::locking::locking::{
        Answer, Exchanged, Extension, Freed, Grant, Lock, LockPage, Polled, Queued, Request, Turn,
    };
}

/// The notifications module's interface.
pub mod notifications {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world notifications { export stheno:notifications/notifications@0.1.0; }",
        world: "stheno:host-side/notifications",
        exports: { default: async },
        with: { "stheno:provider/types": crate::base::stheno::provider::types },
        require_store_data_send: true,
    });

    pub use exports::stheno::notifications::notifications::{
        Attachment, Content, Disposition, Kept, KeptAttachment, Message, OutboxPage, Receipt,
    };
}

/// The analytics module's interface.
pub mod analytics {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world analytics { export stheno:analytics/analytics@0.1.0; }",
        world: "stheno:host-side/analytics",
        exports: { default: async },
        with: { "stheno:provider/types": crate::base::stheno::provider::types },
        require_store_data_send: true,
    });

    pub use exports::stheno::analytics::analytics::{Event, Group, Identity};
}

/// Granted folders as whole files, for providers that import them.
pub mod folders {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world folders { import stheno:folders/folders@0.1.0; }",
        world: "stheno:host-side/folders",
        imports: { default: async | trappable },
        with: {
            "stheno:provider/types": crate::base::stheno::provider::types,
            "stheno:host/streams": crate::base::stheno::host::streams,
        },
        trappable_error_type: { "stheno:provider/types.error" => crate::HostError },
    });

    pub use stheno::folders::folders::*;
}

/// Redis within a granted prefix, for providers that import it.
pub mod redis {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world redis { import stheno:redis/redis@0.1.0; }",
        world: "stheno:host-side/redis",
        imports: {
            "stheno:redis/redis.open": trappable,
            "stheno:redis/redis.[method]binding.load-script": trappable,
            default: async | trappable,
        },
        with: {
            "stheno:provider/types": crate::base::stheno::provider::types,
            "stheno:redis/redis.binding": crate::redis::Handle,
        },
        trappable_error_type: { "stheno:provider/types.error" => crate::HostError },
    });

    pub use stheno::redis::redis::*;

    /// A binding that an instance has opened: its place among those that the
    /// `redis` capability keeps for the instance.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Handle(pub usize);
}

/// PostgreSQL within a granted schema, for providers that import it.
pub mod sql {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world sql { import stheno:sql/sql@0.1.0; }",
        world: "stheno:host-side/sql",
        imports: {
            "stheno:sql/sql.open": trappable,
            default: async | trappable,
        },
        with: {
            "stheno:provider/types": crate::base::stheno::provider::types,
            "stheno:sql/sql.binding": crate::sql::Handle,
            "stheno:sql/sql.transaction": crate::sql::TransactionHandle,
        },
        trappable_error_type: { "stheno:provider/types.error" => crate::HostError },
    });

    pub use stheno::sql::sql::*;

    /// A binding that an instance has opened: its place among those that the
    /// `sql` capability keeps for the instance.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Handle(pub usize);

    /// A transaction that an instance has begun: its number among all those that
    /// the instance ever began.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TransactionHandle(pub u64);
}

/// Objects in a granted bucket, for providers that import them.
pub mod objects {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world objects { import stheno:objects/objects@0.1.0; }",
        world: "stheno:host-side/objects",
        imports: {
            "stheno:objects/objects.open": trappable,
            default: async | trappable,
        },
        with: {
            "stheno:provider/types": crate::base::stheno::provider::types,
            "stheno:host/streams": crate::base::stheno::host::streams,
            "stheno:objects/objects.binding": crate::objects::Handle,
        },
        trappable_error_type: { "stheno:provider/types.error" => crate::HostError },
    });

    pub use stheno::objects::objects::*;

    /// A binding that an instance has opened: its place among those that the
    /// `objects` capability keeps for the instance.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Handle(pub usize);
}

/// The files module's interface.
pub mod files {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world files { export stheno:files/files@0.1.0; }",
        world: "stheno:host-side/files",
        exports: { default: async },
        with: {
            "stheno:provider/types": crate::base::stheno::provider::types,
            "stheno:host/streams": crate::base::stheno::host::streams,
        },
        require_store_data_send: true,
    });

    pub use exports::stheno::files::files::{
        Access, Info, Link, NewFile, Opened, Page, Placed, Pour, Range, Span, Upload,
    };
}

/// The workflows module's interface.
pub mod workflows {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package stheno:host-side; world workflows { export stheno:workflows/workflows@0.1.0; }",
        world: "stheno:host-side/workflows",
        exports: { default: async },
        with: { "stheno:provider/types": crate::base::stheno::provider::types },
        require_store_data_send: true,
    });

    pub use exports::stheno::workflows::workflows::{
        Action, Cadence, Cause, CauseKind, Condition, Cron, Definition, Ended, Failure, Fault,
        Filter, Outcome, Overlap, Pulled, Retries, RunDetail, RunPage, RunState, RunStatus,
        ScheduleDefinition, ScheduleStatus, Selector, Settled, Source, StartRequest, Started, Step,
        StepState, StepStatus, Task, Test, Verdict, Work, WorkflowStatus,
    };
}
