//! What may be tracked: the limits of the contract, checked once, here.

use crate::{Error, JsonObject};

/// The longest name, actor, group kind or group id, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// The most items in one call.
const MAX_ITEMS: usize = 1_000;

/// What somebody did. It needs an actor, a group, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Such as `order.placed`: 1 to 255 bytes without control characters.
    pub event: String,
    /// Who: 1 to 255 bytes without control characters.
    pub actor: Option<String>,
    /// On behalf of whom.
    pub group: Option<ActorGroup>,
    /// What else is known, at most 64 KiB.
    pub properties: Option<JsonObject>,
}

/// What is known of an actor, or of a group if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identify {
    /// Who; of a group, who says so. Needed where there is no group.
    pub actor: Option<String>,
    /// Which group.
    pub group: Option<ActorGroup>,
    /// What is known, at most 64 KiB.
    pub properties: Option<JsonObject>,
}

/// A group of actors, such as a company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorGroup {
    /// Such as `company`: 1 to 255 bytes without control characters.
    pub kind: String,
    /// Which one: 1 to 255 bytes without control characters.
    pub id: String,
}

impl ActorGroup {
    /// This group.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

impl Track {
    /// This event, of nobody yet.
    pub fn new(event: impl Into<String>) -> Self {
        Self { event: event.into(), actor: None, group: None, properties: None }
    }

    /// Done by this actor.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Done on behalf of this group.
    #[must_use]
    pub fn group(mut self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        self.group = Some(ActorGroup::new(kind, id));
        self
    }

    /// With these properties.
    #[must_use]
    pub fn properties(mut self, properties: JsonObject) -> Self {
        self.properties = Some(properties);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        name("event", &self.event)?;
        who(self.actor.as_deref(), self.group.as_ref())
    }
}

impl Identify {
    /// This actor.
    pub fn actor(actor: impl Into<String>) -> Self {
        Self { actor: Some(actor.into()), group: None, properties: None }
    }

    /// This group.
    pub fn group(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { actor: None, group: Some(ActorGroup::new(kind, id)), properties: None }
    }

    /// With these properties.
    #[must_use]
    pub fn properties(mut self, properties: JsonObject) -> Self {
        self.properties = Some(properties);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        who(self.actor.as_deref(), self.group.as_ref())
    }
}

fn name(argument: &str, text: &str) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::invalid(format!("{argument} {what}")));
    match text.len() {
        0 => wrong("is empty".into()),
        1..=MAX_NAME_BYTES if text.chars().any(char::is_control) => {
            wrong("has a control character".into())
        }
        1..=MAX_NAME_BYTES => Ok(()),
        bytes => wrong(format!("has {bytes} bytes, at most {MAX_NAME_BYTES} are allowed")),
    }
}

fn who(actor: Option<&str>, group: Option<&ActorGroup>) -> Result<(), Error> {
    if actor.is_none() && group.is_none() {
        return Err(Error::invalid("actor is missing: give actor, group, or both"));
    }
    if let Some(actor) = actor {
        name("actor", actor)?;
    }
    if let Some(ActorGroup { kind, id }) = group {
        name("group.kind", kind)?;
        name("group.id", id)?;
    }
    Ok(())
}

/// Checks all of them; an error names the position.
pub(super) fn check_all<T>(
    argument: &str,
    all: &[T],
    check: impl Fn(&T) -> Result<(), Error>,
) -> Result<(), Error> {
    if all.len() > MAX_ITEMS {
        return Err(Error::invalid(format!(
            "{argument} has {} items, at most {MAX_ITEMS} in one call are allowed",
            all.len()
        )));
    }
    for (position, item) in all.iter().enumerate() {
        check(item).map_err(|error| {
            Error::new(error.kind(), format!("{argument}[{position}]: {}", error.message()))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        let base = || Track::new("e").actor("a");
        assert!(base().check().is_ok());
        assert!(Track::new("e").group("company", "c").check().is_ok());
        let long = "x".repeat(256);
        for (wrong, argument) in [
            (Track::new("").actor("a"), "event"),
            (Track::new("a\nb").actor("a"), "event"),
            (Track::new(long.as_str()).actor("a"), "event"),
            (Track::new("e"), "actor"),
            (Track::new("e").actor(""), "actor"),
            (base().group("", "c"), "group.kind"),
            (base().group("company", ""), "group.id"),
            (base().group("company", long.as_str()), "group.id"),
        ] {
            let error = wrong.check().unwrap_err();
            assert!(error.message().starts_with(argument), "{error}");
        }
    }
}
