//! What a provider may do, one folder per capability.
//!
//! A capability is a small thing with the same parts every time: which imports
//! it serves and whether they need a grant ([`CAPABILITIES`]), the host
//! functions behind them, its limits, and its tests. Everything that a
//! component asks of the world goes through one of these folders; what has no
//! folder here cannot be had.
//!
//! | folder | serves | without a grant |
//! |---|---|---|
//! | `log` | `stheno:host/log`, standard output and error | yes, rate limited |
//! | `clock` | `stheno:host/clock`, `wasi:clocks` | yes |
//! | `streams` | `stheno:host/streams` | yes, up to `host_bytes` |
//! | `folders` | `stheno:folders` | no: `grants.folders` |
//! | `store` | `stheno:store` | `optional` and `types` can be imported, nothing can be opened; `required` not at all |
//! | `http` | `wasi:http` | no: `grants.http` |
//! | `redis` | `stheno:redis` | no: `grants.redis` |
//! | `sql` | `stheno:sql` | no: `grants.sql` |
//! | `objects` | `stheno:objects` | no: `grants.objects` |
//! | `sockets` | `wasi:sockets` | no: `grants.sockets` |
//! | `wasi` | `wasi:io`, `wasi:random`, `wasi:cli`, `wasi:filesystem` | yes, with nothing in them: no environment, no arguments, no folder |
//!
//! Grants are checked twice, on purpose: [`audit`] refuses a component whose
//! imports the operator did not grant before any of its code runs, and each
//! host function decides again about the very thing asked for.
//!
//! ```
//! use stheno_capabilities::{Verdict, audit};
//! use stheno_config::Grants;
//!
//! let verdict = audit("wasi:sockets/tcp@0.2.6", &Grants::default());
//! let Verdict::NeedsGrant { line, .. } = verdict else { panic!("sockets are not free") };
//! assert!(line.contains("sockets ="));
//! ```

mod address;
mod audit;
pub mod clock;
mod denials;
mod explain;
mod folders;
mod http;
mod log;
mod metered;
mod objects;
mod quota;
mod redis;
mod resolve;
mod sockets;
mod sql;
mod store;
mod streams;
mod tls;
mod wasi;

/// Parsers behind functions of this crate, for fuzz targets. No part of the API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::objects::fuzzing::{object_key, object_listing};
    pub use crate::redis::fuzzing::redis_command;
    pub use crate::sql::fuzzing::sql_statement;
}

use std::sync::Arc;

use stheno_config::{Grants, Limits};
use stheno_contracts::{base, body, host};
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::types::HostFutureIncomingResponse;
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

pub use audit::{CAPABILITIES, Capability, Verdict, audit};
pub use clock::{Clock, ManualClock};
pub use denials::{Denials, Denied};
pub use explain::{Power, Question, Ruling, powers, rule};
pub use folders::Folders;
pub use http::Http;
pub use log::{RateLimit, one_line};
pub use objects::Objects;
pub use redis::{Redis, ServerSide, acl_line, server_side};
pub use resolve::Resolver;
pub use sql::{Sql, role_lines};
pub use store::{Order, OwnStore, Stores};
pub use streams::HostBytes;

/// What all instances of one provider share.
pub struct Shared {
    /// The provider's name, as it stands in log lines and errors.
    pub name: Arc<str>,
    /// What the operator granted.
    pub grants: Grants,
    /// What it was denied.
    pub denials: Denials,
    /// The granted folders, as they are opened.
    pub folders: Folders,
    /// The clock that the provider sees.
    pub clock: Clock,
    /// How many lines it may log.
    pub log: RateLimit,
    /// The bytes that the host holds for it.
    pub host_bytes: HostBytes,
    /// How many handles one instance may hold.
    pub handles: usize,
    /// The stores that it was granted.
    pub stores: Stores,
    /// The Redis bindings that it was granted.
    pub redis: Redis,
    /// The SQL bindings that it was granted.
    pub sql: Sql,
    /// The buckets that it was granted.
    pub objects: Objects,
    /// The servers that it was granted.
    pub http: Http,
    /// What looks names up for it.
    pub resolver: Resolver,
}

impl Shared {
    /// The shared part for a provider that is called `name`.
    #[must_use]
    pub fn new(name: &str, grants: Grants, limits: &Limits, clock: Clock) -> Arc<Self> {
        let stores = Stores::granted_by(&grants);
        let denials = Denials::of(&name.into());
        let servers = Servers {
            redis: Redis::granted_by(&denials, &grants),
            sql: Sql::granted_by(&denials, &grants),
            objects: Objects::granted_by(&denials, &grants),
        };
        Self::with(denials, grants, stores, servers, limits, clock)
    }

    /// The shared part for a provider that is only looked at: from it nothing
    /// can be reached that is granted. Stores are there, empty and in memory, and
    /// bindings to Redis, SQL and buckets, behind which no server answers, so that
    /// the provider is what it would be.
    #[must_use]
    pub fn sandbox(name: &str, grants: &Grants, limits: &Limits, clock: Clock) -> Arc<Self> {
        let stores = Stores::in_memory(grants);
        let denials = Denials::of(&name.into());
        let servers = Servers {
            redis: Redis::out_of_reach(&denials, grants),
            sql: Sql::out_of_reach(&denials, grants),
            objects: Objects::out_of_reach(&denials, grants),
        };
        Self::with(denials, Grants::default(), stores, servers, limits, clock)
    }

    fn with(
        denials: Denials,
        grants: Grants,
        stores: Stores,
        Servers { redis, sql, objects }: Servers,
        limits: &Limits,
        clock: Clock,
    ) -> Arc<Self> {
        let resolver = Resolver::system();
        Arc::new(Self {
            folders: Folders::new(&grants),
            http: Http::granted_by(&denials, &grants, &clock, resolver.clone()),
            resolver,
            name: Arc::clone(denials.provider()),
            denials,
            grants,
            stores,
            redis,
            sql,
            objects,
            log: RateLimit::new(limits.log_lines_per_second.get(), clock.clone()),
            host_bytes: HostBytes::new(limits.host_bytes.get().as_u64()),
            handles: limits.handles.get() as usize,
            clock,
        })
    }
}

/// The bindings to servers that a provider was granted.
struct Servers {
    redis: Redis,
    sql: Sql,
    objects: Objects,
}

/// What one instance of a provider may do, and what it holds.
pub struct Capabilities {
    shared: Arc<Shared>,
    wasi: WasiCtx,
    table: ResourceTable,
    /// Which stores the instance has opened; handles are places in it.
    stores: Vec<Arc<store::Opened>>,
    /// As `stores`, for Redis bindings.
    redis: Vec<Arc<redis::Binding>>,
    sql: sql::Instance,
    /// As `stores`, for buckets.
    objects: Vec<Arc<objects::Binding>>,
    http: http::Instance,
    sockets: sockets::Instance,
}

impl Capabilities {
    /// The capabilities of a new instance.
    ///
    /// # Errors
    ///
    /// When a granted folder cannot be opened.
    pub fn new(shared: Arc<Shared>) -> Result<Self, wasi::FolderError> {
        let (wasi, sockets) = wasi::context(&shared)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(shared.handles);
        let http = shared.http.instance();
        let sql = sql::Instance::default();
        Ok(Self {
            shared,
            wasi,
            table,
            stores: Vec::new(),
            redis: Vec::new(),
            sql,
            objects: Vec::new(),
            http,
            sockets,
        })
    }

    /// What the instance shares with its siblings.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The part of it that WASI needs.
    pub fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }

    /// The part of it that WASI's HTTP needs.
    pub fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http.context,
            table: &mut self.table,
            hooks: &mut self.http.hooks,
        }
    }

    /// Gives a body to the instance.
    ///
    /// # Errors
    ///
    /// When it holds too many handles already.
    pub fn push_reader(
        &mut self,
        reader: body::Reader,
    ) -> wasmtime::Result<wasmtime::component::Resource<body::Reader>> {
        Ok(self.table.push(reader)?)
    }

    /// Takes a body back that the instance passed on.
    ///
    /// # Errors
    ///
    /// When the handle is not one of its own.
    pub fn take_reader(
        &mut self,
        reader: wasmtime::component::Resource<body::Reader>,
    ) -> wasmtime::Result<body::Reader> {
        Ok(self.table.delete(reader)?)
    }

    /// Takes a body back that is to be written by somebody else.
    ///
    /// # Errors
    ///
    /// When the handle is not one of its own.
    pub fn take_writer(
        &mut self,
        writer: wasmtime::component::Resource<body::Writer>,
    ) -> wasmtime::Result<body::Writer> {
        Ok(self.table.delete(writer)?)
    }

    /// What a guest is told that holds too many handles.
    fn full(&self) -> stheno_contracts::Error {
        stheno_contracts::Error::Unavailable(format!(
            "too many handles in one instance, at most {}; drop some, or raise `limits.handles`",
            self.shared.handles
        ))
    }

    /// Closes every body, rolls back every transaction and gives up every lookup that
    /// the guest still holds after its call, and says how many handles remain in the table.
    ///
    /// The entries stay, since the guest may drop its handles later; what was
    /// behind them (files, buffers, connections) is gone now.
    pub fn sweep(&mut self) -> usize {
        if self.table.is_empty() {
            return 0;
        }
        self.http.end_exchanges();
        self.sql.end_transactions();
        let mut entries = 0;
        for entry in self.table.iter_mut() {
            entries += 1;
            if let Some(reader) = entry.downcast_mut::<body::Reader>() {
                reader.close();
            } else if let Some(writer) = entry.downcast_mut::<body::Writer>() {
                writer.close();
            } else if let Some(response) = entry.downcast_mut::<HostFutureIncomingResponse>() {
                *response = HostFutureIncomingResponse::Consumed;
            } else if let Some(lookup) = entry.downcast_mut::<sockets::Lookup>() {
                lookup.end();
            }
        }
        entries
    }
}

/// Links every capability. Which of them a component may import is
/// [`audit`]'s to say; what it then gets is decided call by call.
///
/// # Errors
///
/// When the linker already has one of the names.
pub fn add_to_linker<T: WasiView + WasiHttpView + 'static>(
    linker: &mut Linker<T>,
    capabilities: fn(&mut T) -> &mut Capabilities,
) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    // In place of that of WASI, which looks up any name or none.
    linker.allow_shadowing(true);
    wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::add_to_linker::<T, HasSelf<Capabilities>>(
        linker,
        capabilities,
    )?;
    linker.allow_shadowing(false);
    host::log::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    host::clock::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    host::streams::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    base::stheno::store::types::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    base::stheno::store::required::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    base::stheno::store::optional::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    stheno_contracts::redis::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    stheno_contracts::sql::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    stheno_contracts::objects::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    stheno_contracts::folders::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)?;
    base::stheno::provider::types::add_to_linker::<T, HasSelf<Capabilities>>(linker, capabilities)
}

impl base::stheno::provider::types::Host for Capabilities {
    fn convert_error(
        &mut self,
        error: stheno_contracts::HostError,
    ) -> wasmtime::Result<stheno_contracts::Error> {
        match error {
            stheno_contracts::HostError::Typed(error) => Ok(error),
            stheno_contracts::HostError::Trap(trap) => Err(trap),
        }
    }
}
