//! `stheno.toml` as checked types.
//!
//! The text of an operator goes in, and types come out that hold only what
//! has been checked: a [`Token`] is long enough, a [`GuestPath`] cannot climb,
//! a [`ServerConfig`] that others can reach has a token. The engine, the embed
//! API, the server and the command share these types; code that builds them
//! without a file goes through the same constructors.
//!
//! Everything that is wrong is reported at once, with file, line, column and
//! what to write instead ([`ConfigError`], a [`miette::Diagnostic`]). A config
//! remembers where each key stood, so that whoever finds a fault later can
//! point at the line as well ([`Config::diagnose`]).
//!
//! What does not belong here: opening components, checking that folders
//! exist, knowing the built-in providers. This crate reads one file and knows
//! nothing of Wasm.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//! use stheno_config::{Config, Place, ModuleName, Resolve};
//!
//! let text = r#"
//! [server]                            # for `stheno up`
//! listen = "0.0.0.0:7070"             # default "127.0.0.1:7070"
//! token = "${STHENO_TOKEN}"           # required beyond loopback; 16 characters or more
//! max_body = "16MiB"
//!
//! [runtime]
//! compile_cache = "/var/cache/stheno" # or false; default: the user's cache folder
//!
//! [modules.cache]
//! resolve = "./my-cache.wasm"         # or the name of a built-in provider
//! options = { ttl = "${TTL:-30s}" }   # the provider's own
//!
//! [modules.cache.grants]
//! folders = [{ host = "./data", guest = "/data", mode = "read-write" }]
//! sockets = ["127.0.0.1:6379"]
//! http = [{ host = "api.example.com", methods = ["POST"], path = "/v1/" }]
//!
//! [modules.cache.limits]
//! memory = "256MiB"
//! cpu = "1s"
//! timeout = "10s"
//! instances = 8
//! queue = 1024
//! calls_per_instance = 100000
//! host_bytes = "64MiB"
//! handles = 1024
//! log_lines_per_second = 200
//! "#;
//! let env = |name: &str| (name == "STHENO_TOKEN").then(|| "0123456789abcdef".to_owned());
//! let config = Config::parse(text, "stheno.toml", Path::new("/etc/stheno"), &env)?;
//!
//! let cache = &config.modules.cache;
//! assert_eq!(cache.resolve, Resolve::File("/etc/stheno/my-cache.wasm".into()));
//! assert_eq!(cache.options["ttl"], "30s");
//! assert_eq!(config.modules.events.resolve.to_string(), "events-local");
//!
//! // A later stage finds a fault and points at the line.
//! let error = config.diagnose(
//!     Place::resolve(ModuleName::Cache),
//!     "this file is not a component",
//!     "build it for wasm32-wasip2",
//! );
//! assert_eq!(error.to_string(), "stheno.toml:11:11: this file is not a component");
//! # Ok::<(), stheno_config::ConfigError>(())
//! ```
//!
//! # Strings
//!
//! `${VAR}` in a string value stands for a variable, `${VAR:-default}` for a
//! variable that may be unset or empty, `$${` for a plain `${`. Keys are taken
//! as they are. Where a whole number is wanted, a string with a variable will
//! do. Durations are `"500ms"`, `"30s"`, `"10m"`, `"1h"` ([`parse_duration`]),
//! sizes `"8KiB"`, `"64MiB"` ([`ByteSize`]).
//!
//! # Secrets
//!
//! No error of this crate shows the value of a variable, and no `Debug` shows
//! a token or the value of an option. Errors show lines of the file, with the
//! values of keys that sound secret masked, and passwords within URLs; but other
//! secrets that are written out in the file can be seen there, so they belong in
//! variables.

mod bounded;
mod config;
mod decode;
mod duration;
mod error;
mod grants;
mod http;
mod interpolate;
mod limits;
mod mask;
mod modules;
mod objects;
mod options;
mod path;
mod place;
mod provider;
mod public_url;
mod quantity;
mod records;
mod redis;
mod redis_url;
mod runtime;
mod secret;
mod server;
mod several;
mod size;
mod sockets;
mod source;
mod sql;
mod sql_url;
mod stores;
mod suggest;

pub use bounded::OutOfRange;
pub use config::Config;
pub use duration::{format_duration, parse_duration};
pub use error::{ConfigError, Problem};
pub use grants::{DuplicateGuest, FolderGrant, FolderMode, Grants, GuestPath, GuestPathError};
pub use http::{
    DnsName, HostError, HostPattern, HostPatternError, HttpAuthority, HttpConnectTimeout,
    HttpGrant, HttpHost, HttpInFlight, HttpMaxRequest, HttpMaxResponse, HttpMethod,
    HttpMethodError, HttpRate, HttpResponseTimeout, HttpScheme, HttpSecret, HttpSecretError,
    HttpTimeout, PathError, PathPrefix, SecretName, SecretPlace, check_path,
};
pub use interpolate::{Env, process_env};
pub use limits::{
    CallsPerInstanceLimit, CpuLimit, HandlesLimit, HostBytesLimit, InstancesLimit, Limits,
    LogRateLimit, MemoryLimit, QueueLimit, TimeoutLimit,
};
pub use modules::{ModuleName, Modules};
pub use objects::{
    Bucket, BucketError, ObjectsCredentials, ObjectsEndpoint, ObjectsEndpointError, ObjectsGrant,
    ObjectsGrants, ObjectsInFlight, ObjectsKeys, ObjectsLinkExpiry, ObjectsMaxSize,
    ObjectsOperations, ObjectsPrefix, ObjectsPrefixError, ObjectsTimeout, Region, RegionError,
};
pub use place::Place;
pub use provider::{BuiltinName, BuiltinNameError, ProviderConfig, Resolve, ResolveError};
pub use public_url::{PublicUrl, PublicUrlError};
pub use quantity::UnitError;
pub use records::{RecordsFile, RecordsRetention, RecordsSize};
pub use redis::{
    RedisByteRate, RedisConnections, RedisGrant, RedisGrants, RedisInFlight, RedisMaxBytes,
    RedisOperations, RedisPrefix, RedisPrefixError, RedisTimeout, ScriptDigest, ScriptDigestError,
};
pub use redis_url::{RedisServerAddress, RedisUrl, RedisUrlError};
pub use runtime::{CompileCache, RuntimeConfig};
pub use secret::{LinkSecret, LinkSecretError, Secret, Token, TokenError};
pub use server::{
    BodyTimeout, HeadTimeout, MaxBody, MaxConnections, MaxFile, OpenWithoutToken, ServerConfig,
};
pub use several::{
    Channel, ChannelError, Everything, FileStore, NamedProvider, ProviderId, ProviderIdError,
    Providers, ProvidersError, Routes,
};
pub use size::ByteSize;
pub use sockets::{SocketGrant, SocketGrantError};
pub use sql::{
    SqlByteRate, SqlConnections, SqlGrant, SqlGrants, SqlInFlight, SqlMaxBytes, SqlMaxRows,
    SqlMaxStatement, SqlName, SqlNameError, SqlOperations, SqlStatementTimeout, SqlTransactions,
};
pub use sql_url::{SqlServerAddress, SqlUrl, SqlUrlError};
pub use stores::{StoreGrant, StoreGrants, StoreLabel, StoreLabelError, StoreSize, StoreSizeError};
