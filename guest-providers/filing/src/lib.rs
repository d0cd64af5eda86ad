//! What the providers of files have in common: which names and keys there are
//! ([`key`]), how a stored file is described ([`Record`]), and options that mean
//! the same to each.
//!
//! It is no component of its own. So a file that one provider takes is taken by
//! another, and one is swapped for another by config alone.

pub mod key;
pub mod options;
mod record;

pub use key::Key;
pub use record::{Record, Seen, as_new};
