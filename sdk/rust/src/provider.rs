//! The part that all providers share: what one says of itself, and how the one
//! value that holds its state lives between calls.

use std::cell::RefCell;
use std::thread::LocalKey;

use crate::bindings::base::exports::stheno::provider::lifecycle as wit;

pub use crate::bindings::base::stheno::provider::types::Error;
pub use wit::{Description, Instances};

/// What every function of a provider returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Description {
    /// Describes a provider with the given optional features.
    #[must_use]
    pub fn new(name: &str, version: &str, instances: Instances, features: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            instances,
            features: features.iter().map(|&f| f.to_owned()).collect(),
        }
    }
}

/// How a provider is described, started, asked after and stopped.
///
/// The value that `start` returns is the provider: it lives until the instance
/// ends, and every later call gets it as `&mut self`.
pub trait Lifecycle: Sized + 'static {
    /// Says what this provider is. Called before `start`.
    fn describe() -> Description;

    /// Takes the options of the config, one JSON object; see
    /// [`options::parse`](crate::options::parse).
    ///
    /// # Errors
    ///
    /// `invalid-argument` naming the key and what to write. The host then does
    /// not start.
    fn start(options: &str) -> Result<Self>;

    /// Succeeds if calls can be served now. Keep it cheap: it is asked every
    /// few seconds.
    ///
    /// # Errors
    ///
    /// `unavailable`, saying what is missing.
    fn health(&mut self) -> Result<()> {
        Ok(())
    }

    /// Writes out what is pending. No call follows.
    ///
    /// # Errors
    ///
    /// Whatever kept it from doing so.
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Where the export macros keep the provider. Not for authors.
#[doc(hidden)]
pub trait Hosted: Lifecycle {
    fn slot() -> &'static LocalKey<RefCell<Option<Self>>>;

    fn call<T>(f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        // The host never calls into an instance that is within a call, so the
        // borrow is always free; a wrong host must still not bring us down.
        Self::slot().with(|slot| match slot.try_borrow_mut() {
            Ok(mut state) => match state.as_mut() {
                Some(provider) => f(provider),
                None => Err(Error::Internal("the provider was not started".to_owned())),
            },
            Err(_) => Err(Error::Internal("the provider was called within a call".to_owned())),
        })
    }

    fn begin(options: &str) -> Result<()> {
        let provider = Self::start(options)?;
        Self::slot().with(|slot| match slot.try_borrow_mut() {
            Ok(mut state) if state.is_none() => {
                *state = Some(provider);
                Ok(())
            }
            _ => Err(Error::Conflict("the provider was started before".to_owned())),
        })
    }
}

/// The type that stands for the component towards wit-bindgen.
#[doc(hidden)]
pub struct Component<P>(std::marker::PhantomData<P>);

impl<P: Hosted> wit::Guest for Component<P> {
    fn describe() -> Description {
        P::describe()
    }

    fn start(options: String) -> Result<()> {
        P::begin(&options)
    }

    fn health() -> Result<()> {
        P::call(P::health)
    }

    fn stop() -> Result<()> {
        P::call(P::stop)
    }
}
