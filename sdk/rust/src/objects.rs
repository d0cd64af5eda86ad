//! Objects in a granted bucket (`grants.objects.LABEL`); see the contract,
//! `wit/deps/objects/objects.wit`.
//!
//! A component that calls [`open`] is not loaded without a grant.
//!
//! ```no_run
//! use stheno_sdk::objects::{self, Description, Existing};
//! use stheno_sdk::streams::Writer;
//!
//! # fn example() -> stheno_sdk::Result<()> {
//! let bucket = objects::open("default")?;
//! let description = Description::of("text/plain");
//! let writer = bucket.create("greetings/first", &description, Existing::Keep)?;
//! writer.write(b"hello")?;
//! Writer::finish(writer)?;
//! assert_eq!(bucket.head("greetings/first")?.size, 5);
//! # Ok(()) }
//! ```

use crate::bindings::objects::stheno::objects::objects as raw;
use crate::provider::Result;

pub use raw::{
    Access, Binding, Description, Existing, Info, Link, Listed, Opened, Page, Range, Span,
};

/// Opens a binding. Reaches no server.
///
/// # Errors
///
/// `denied` if the label was not granted.
pub fn open(label: &str) -> Result<Binding> {
    raw::open(label)
}

impl Description {
    /// The description of a body of this type, and nothing else.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        Self {
            content_type: Some(content_type.to_owned()),
            cache_control: None,
            content_disposition: None,
            metadata: Vec::new(),
            access: None,
        }
    }
}
