//! The contracts in `wit/`, as the host sees them.
//!
//! This crate is the output of [`wasmtime::component::bindgen!`] and the two
//! Rust types that the output refers to: what stands behind a body handle
//! ([`body`]) and how a host function fails ([`HostError`]). Nothing else
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

pub use base::stheno::host;
pub use base::stheno::provider::types::Error;
pub use error::HostError;

/// What every provider imports, and the lifecycle that it exports.
pub mod base {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "stheno:worlds/base",
        imports: {
            "stheno:host/streams": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "stheno:host/streams.reader": crate::body::Reader,
            "stheno:host/streams.writer": crate::body::Writer,
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
