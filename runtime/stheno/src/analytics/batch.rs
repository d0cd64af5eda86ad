//! What is tracked, one by one and in batches.

use std::collections::VecDeque;
use std::sync::Arc;

use stheno_config::ProviderId;
use stheno_contracts::Error as Contract;
use stheno_contracts::analytics as contract;
use stheno_engine::{AnalyticsModule, Provider};

/// What the contract allows in one call.
const MAX_ITEMS: usize = 512;
const MAX_BYTES: usize = 512 * 1024;
/// Room is counted in steps of so many bytes.
pub(super) const UNIT_BYTES: usize = 256;

/// What waits to be handed over.
#[derive(Clone)]
pub(super) enum Item {
    Event(contract::Event),
    Identity(contract::Identity),
}

/// Items of one kind, in their order.
#[derive(Clone)]
pub(super) enum Batch {
    Events(Arc<Vec<contract::Event>>),
    Identities(Arc<Vec<contract::Identity>>),
}

/// About how much an item takes, in bytes.
fn weight(texts: [Option<&String>; 3], group: Option<&contract::Group>) -> usize {
    128 + texts.into_iter().flatten().map(String::len).sum::<usize>()
        + group.map_or(0, |group| group.kind.len() + group.id.len())
}

fn event_bytes(event: &contract::Event) -> usize {
    let texts = [Some(&event.name), event.actor.as_ref(), event.properties.as_ref()];
    weight(texts, event.group.as_ref())
}

fn identity_bytes(identity: &contract::Identity) -> usize {
    let texts = [identity.actor.as_ref(), identity.properties.as_ref(), None];
    weight(texts, identity.group.as_ref())
}

impl Item {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event_bytes(event),
            Self::Identity(identity) => identity_bytes(identity),
        }
    }

    pub(super) fn units(&self) -> usize {
        self.bytes().div_ceil(UNIT_BYTES)
    }
}

impl Batch {
    /// Takes the next items of one kind, within the contract's limits, and says
    /// how many bytes they are.
    pub(super) fn take(queue: &mut VecDeque<Item>) -> Option<(Self, usize)> {
        let events = matches!(queue.front()?, Item::Event(_));
        let (mut count, mut bytes) = (0, 0);
        for item in queue.iter().take(MAX_ITEMS) {
            let more = bytes + item.bytes();
            if matches!(item, Item::Event(_)) != events || (count > 0 && more > MAX_BYTES) {
                break;
            }
            bytes = more;
            count += 1;
        }
        let items = queue.drain(..count);
        let batch = if events {
            let event = |item| match item {
                Item::Event(event) => Some(event),
                Item::Identity(_) => None,
            };
            Self::Events(Arc::new(items.filter_map(event).collect()))
        } else {
            let identity = |item| match item {
                Item::Event(_) => None,
                Item::Identity(identity) => Some(identity),
            };
            Self::Identities(Arc::new(items.filter_map(identity).collect()))
        };
        Some((batch, bytes))
    }

    /// Has the provider take it.
    pub(super) async fn hand_over(
        &self,
        provider: &Provider<AnalyticsModule>,
    ) -> Result<(), Contract> {
        match self {
            Self::Events(events) => {
                let events = Arc::clone(events);
                let tracked = provider.call(move |guest| {
                    Box::pin(async move { guest.module.call_track(guest.store, &events).await })
                });
                tracked.await
            }
            Self::Identities(identities) => {
                let identities = Arc::clone(identities);
                let identified = provider.call(move |guest| {
                    Box::pin(
                        async move { guest.module.call_identify(guest.store, &identities).await },
                    )
                });
                identified.await
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Events(events) => events.len(),
            Self::Identities(identities) => identities.len(),
        }
    }

    pub(super) fn units(&self) -> usize {
        let units = |bytes: usize| bytes.div_ceil(UNIT_BYTES);
        match self {
            Self::Events(all) => all.iter().map(|event| units(event_bytes(event))).sum(),
            Self::Identities(all) => {
                all.iter().map(|identity| units(identity_bytes(identity))).sum()
            }
        }
    }

    pub(super) fn singles(&self) -> Vec<Self> {
        match self {
            Self::Events(all) => {
                all.iter().map(|event| Self::Events(Arc::new(vec![event.clone()]))).collect()
            }
            Self::Identities(all) => all
                .iter()
                .map(|identity| Self::Identities(Arc::new(vec![identity.clone()])))
                .collect(),
        }
    }

    /// The error with what it was about.
    pub(super) fn told(&self, id: &ProviderId, error: &Contract) -> Contract {
        let what = match self {
            Self::Events(all) => all.first().map(|event| format!("track {:?}", event.name)),
            Self::Identities(all) => all.first().map(|identity| {
                let group = identity.group.as_ref().map(|group| &group.id);
                format!("identify {:?}", group.or(identity.actor.as_ref()).map_or("", |id| id))
            }),
        };
        let what = what.unwrap_or_default();
        let others = match self.len() {
            0 | 1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        with_text(error, format!("{id} could not {what}{others}: {}", error.message()))
    }
}

/// The same error with another text.
pub(super) fn with_text(error: &Contract, text: String) -> Contract {
    match error {
        Contract::NotFound(_) => Contract::NotFound(text),
        Contract::Conflict(_) => Contract::Conflict(text),
        Contract::InvalidArgument(_) => Contract::InvalidArgument(text),
        Contract::Denied(_) => Contract::Denied(text),
        Contract::Timeout(_) => Contract::Timeout(text),
        Contract::Unavailable(_) => Contract::Unavailable(text),
        Contract::LostLease(_) => Contract::LostLease(text),
        Contract::Unsupported(_) => Contract::Unsupported(text),
        Contract::Internal(_) => Contract::Internal(text),
    }
}
