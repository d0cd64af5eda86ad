//! The binary as its users run it.

mod call;
mod check;
mod stheno;
mod up;
