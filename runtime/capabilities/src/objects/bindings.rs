//! Which buckets a provider was granted, and how its calls go there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use stheno_config::{Grants, ObjectsGrant, StoreLabel};
use stheno_contracts::Error;
use stheno_contracts::objects::Description;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::client::client;
use super::describe::Described;
use super::failure::{Asked, late};
use super::key::Key;
use crate::denials::{Counter, Denials};
use crate::explain::no_binding;
use crate::quota::Quota;

/// How often a part of a body that waits for its turn asks again.
const TURN: Duration = Duration::from_millis(10);

/// The buckets of one provider.
pub struct Objects(BTreeMap<StoreLabel, Arc<Binding>>);

impl Objects {
    /// What was granted. No server is reached before the provider asks for
    /// something.
    #[must_use]
    pub fn granted_by(denials: &Denials, grants: &Grants) -> Self {
        Self::new(denials, grants, false)
    }

    /// What was granted, and behind it nothing that answers: for a provider that
    /// is only looked at. No server is reached.
    #[must_use]
    pub fn out_of_reach(denials: &Denials, grants: &Grants) -> Self {
        Self::new(denials, grants, true)
    }

    fn new(denials: &Denials, grants: &Grants, out_of_reach: bool) -> Self {
        let binding = |(label, grant): (&StoreLabel, &ObjectsGrant)| {
            (label.clone(), Arc::new(Binding::new(denials, label, grant.clone(), out_of_reach)))
        };
        Self(grants.objects().iter().map(binding).collect())
    }

    pub(super) fn open(&self, label: &str) -> Result<Arc<Binding>, Error> {
        self.0.get(label).map(Arc::clone).ok_or_else(|| Error::Denied(not_granted(label)))
    }
}

pub(super) fn not_granted(label: &str) -> String {
    no_binding("bucket", label, |label| {
        format!(
            "grants.objects.{label} = {{ bucket = \"shop-files\", prefix = \"files/\", \
             access_key_id = \"${{S3_KEY}}\", secret_access_key = \"${{S3_SECRET}}\" }}"
        )
    })
}

/// One granted bucket, seen through one prefix.
pub(crate) struct Binding {
    label: StoreLabel,
    /// Where in the config it is, for errors.
    place: String,
    pub(super) grant: ObjectsGrant,
    out_of_reach: bool,
    client: OnceCell<Client>,
    operations: Quota,
    in_flight: Arc<Semaphore>,
    pub(super) denials: Arc<Counter>,
}

impl Binding {
    fn new(denials: &Denials, label: &StoreLabel, grant: ObjectsGrant, out_of_reach: bool) -> Self {
        Self {
            label: label.clone(),
            place: format!("grants.objects.{}", label.as_str()),
            out_of_reach,
            client: OnceCell::new(),
            operations: Quota::new(u64::from(grant.operations_per_second.get())),
            in_flight: Arc::new(Semaphore::new(grant.in_flight.get() as usize)),
            denials: denials.binding("objects", label),
            grant,
        }
    }

    pub(super) fn bucket(&self) -> &str {
        self.grant.bucket.as_str()
    }

    pub(super) fn prefix(&self) -> &str {
        self.grant.prefix.as_str()
    }

    /// What a request that names `key` is about, for errors.
    pub(super) fn asked<'a>(&'a self, key: &'a str) -> Asked<'a> {
        Asked { place: &self.place, key }
    }

    /// A key of the guest.
    pub(super) fn key(&self, argument: &str, text: &str) -> Result<Key, Error> {
        self.denials.told(Key::parse(self.prefix(), argument, text))
    }

    /// A description of the guest.
    pub(super) fn described(&self, description: Description) -> Result<Described, Error> {
        let public = self.grant.public;
        self.denials.told(Described::parse(description, public, self.label.as_str()))
    }

    /// The client; made when it is first needed.
    pub(super) async fn client(&self) -> Result<&Client, Error> {
        if self.out_of_reach {
            return Err(Error::Unavailable("no server is reached during a check".into()));
        }
        let made = self.client.get_or_try_init(|| client(&self.grant)).await;
        made.map_err(|reason| {
            Error::Unavailable(format!("{} cannot be used: {reason}", self.place))
        })
    }

    /// Takes a place among the requests, if the quotas allow one more.
    pub(super) fn begin(&self) -> Result<OwnedSemaphorePermit, Error> {
        let beyond = |key: &str, value: u32| {
            Error::Unavailable(format!(
                "more than {key} = {value} of {}; try again later",
                self.place
            ))
        };
        let permit = Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| beyond("in_flight", self.grant.in_flight.get()))?;
        if self.operations.take(1) {
            Ok(permit)
        } else {
            Err(beyond("operations_per_second", self.grant.operations_per_second.get()))
        }
    }

    /// As [`Self::begin`], for a body that is under way: it waits for its turn,
    /// at most as long as a request may take.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = async {
            let permit = Arc::clone(&self.in_flight).acquire_owned().await;
            while !self.operations.take(1) {
                tokio::time::sleep(TURN).await;
            }
            permit
        };
        match tokio::time::timeout(self.grant.timeout.get(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::Unavailable(format!(
                "a body waited longer than `timeout` for its turn; raise `in_flight` or \
                 `operations_per_second` of {}",
                self.place
            ))),
        }
    }

    /// Waits for the server, within the deadline.
    pub(super) async fn within<T, E>(
        &self,
        key: &str,
        request: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, Error>
    where
        E: ProvideErrorMetadata,
    {
        match tokio::time::timeout(self.grant.timeout.get(), request).await {
            Ok(answer) => answer.map_err(|error| self.asked(key).failed(&error)),
            Err(_) => Err(late(&self.place)),
        }
    }
}
