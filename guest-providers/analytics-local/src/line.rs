//! What a line is: one JSON object, with the properties as they came.

use serde::Serialize;
use serde_json::value::RawValue;
use stheno_sdk::analytics::{Event, Group, Identity};
use stheno_sdk::{Error, Result};

#[derive(Serialize)]
struct Line<'a> {
    /// `track` or `identify`.
    kind: &'static str,
    id: &'a str,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupOf<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct GroupOf<'a> {
    kind: &'a str,
    id: &'a str,
}

pub(crate) fn events(events: &[Event]) -> Result<Vec<u8>> {
    lines(events.iter().map(|event| {
        Ok(Line {
            kind: "track",
            id: &event.id,
            at_ms: event.at_ms,
            event: Some(&event.name),
            actor: event.actor.as_deref(),
            group: event.group.as_ref().map(group),
            properties: properties(event.properties.as_deref())?,
        })
    }))
}

pub(crate) fn identities(identities: &[Identity]) -> Result<Vec<u8>> {
    lines(identities.iter().map(|identity| {
        Ok(Line {
            kind: "identify",
            id: &identity.id,
            at_ms: identity.at_ms,
            event: None,
            actor: identity.actor.as_deref(),
            group: identity.group.as_ref().map(group),
            properties: properties(identity.properties.as_deref())?,
        })
    }))
}

fn group(Group { kind, id }: &Group) -> GroupOf<'_> {
    GroupOf { kind, id }
}

/// A line must stay one whatever a host hands over, so it is read once.
fn properties(json: Option<&str>) -> Result<Option<&RawValue>> {
    let Some(json) = json else { return Ok(None) };
    if json.contains(['\n', '\r']) {
        return Err(Error::InvalidArgument("properties are not on one line".to_owned()));
    }
    serde_json::from_str(json)
        .map(Some)
        .map_err(|error| Error::InvalidArgument(format!("properties are not JSON: {error}")))
}

fn lines<'a>(all: impl Iterator<Item = Result<Line<'a>>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    for line in all {
        serde_json::to_writer(&mut bytes, &line?)
            .map_err(|error| Error::Internal(format!("a line cannot be written: {error}")))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(name: &str, properties: Option<&str>) -> Event {
        Event {
            id: "1".to_owned(),
            at_ms: 7,
            name: name.to_owned(),
            actor: Some("a".to_owned()),
            group: Some(Group { kind: "company".to_owned(), id: "c".to_owned() }),
            properties: properties.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_has_everything_and_digits_stay() {
        let line = events(&[event("order.placed", Some(r#"{"total":12345678901234567890.10}"#))]);
        assert_eq!(
            String::from_utf8(line.unwrap()).unwrap(),
            "{\"kind\":\"track\",\"id\":\"1\",\"at_ms\":7,\"event\":\"order.placed\",\
             \"actor\":\"a\",\"group\":{\"kind\":\"company\",\"id\":\"c\"},\
             \"properties\":{\"total\":12345678901234567890.10}}\n"
        );
    }

    #[test]
    fn properties_that_would_break_the_line_are_refused() {
        for bad in ["{\n}", "{", "", "{}{}"] {
            assert!(events(&[event("e", Some(bad))]).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_stays_on_its_line(names in prop::collection::vec(".{0,20}", 1..8)) {
            let all: Vec<_> = names.iter().map(|name| event(name, None)).collect();
            let text = String::from_utf8(events(&all).unwrap()).unwrap();
            let read: Vec<String> = text
                .split_terminator('\n')
                .map(|line| {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    line["event"].as_str().unwrap().to_owned()
                })
                .collect();
            prop_assert_eq!(read, names);
        }
    }
}
