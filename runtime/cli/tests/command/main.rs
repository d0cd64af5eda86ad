//! The binary as its users run it.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is not there fails the test"
)]

mod acl;
mod call;
mod check;
mod credentials;
mod explain;
mod files;
mod stheno;
mod test;
mod up;
mod workflows;
