//! Names.

use std::fmt::Display;
use std::sync::Arc;

/// One day of the shop. Whatever the shop names in a module begins with it, so that
/// no day meets what another has left there, whichever providers serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day(Arc<str>);

impl Day {
    /// The day of this name: letters, digits and dashes.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name of the day.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a thing of this kind.
    pub(crate) fn name(&self, kind: &str, thing: impl Display) -> String {
        format!("storefront:{}:{kind}:{thing}", self.0)
    }

    /// What the names of the day's invoices begin with.
    pub(crate) fn invoices(&self) -> String {
        format!("invoices/{}/", self.0)
    }
}
