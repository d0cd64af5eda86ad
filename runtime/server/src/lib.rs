//! The HTTP API over Stheno's modules, for apps that do not embed the runtime.
//!
//! [`serve`] answers on a listener until it is told to stop. It knows nothing of
//! signals, files or how the runtime was started, and adds no behaviour to the
//! modules: a route decodes, makes one call of the embed API and encodes.
//!
//! # Conventions
//!
//! Names that callers choose (keys, ids, patterns) stand in the query or the
//! body and never in the path. A key may be `..` or hold a `/`; clients and
//! proxies rewrite such paths, even percent-encoded, and leave queries alone.
//!
//! Bodies are JSON but for one cache entry, which is its bytes. What is unknown
//! or misspelt is refused by name. Every error has one form, see [`ErrorBody`].
//!
//! A route and its part of `/openapi.json` are declared in one place, so neither
//! can be there without the other.
//!
//! # Who may call
//!
//! With a token in the config: who shows it. Without one the server listens on
//! loopback only ([`stheno_config::ServerConfig`] sees to that), and whoever can
//! run a process on this machine may call. A web page cannot, although a browser
//! would send its requests: see the module `guard`.

mod analytics;
mod cache;
mod error;
mod events;
mod extract;
mod files;
mod guard;
mod health;
mod locking;
mod notifications;
mod router;
mod serve;
mod stall;
mod wire;
mod workflows;

pub use error::{ErrorBody, ErrorDetail};
pub use router::openapi_json;
pub use serve::{ServeError, serve};
