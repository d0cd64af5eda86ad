//! Arguments out of bounds are refused by name and nothing is passed on.

use stheno::{Analytics, Identify, JsonObject, Track};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, equal, one, refuses};

pub(crate) const CASES: &[Case] = cases! {
    Analytics:
    "analytics.arguments.track" =>
        "An event out of bounds is `invalid-argument` that names what is wrong, and nothing of the call is accepted.",
        track;
    "analytics.arguments.identify" =>
        "An identity out of bounds is `invalid-argument` that names what is wrong, and nothing of the call is accepted.",
        identify;
    "analytics.arguments.properties" =>
        "Properties that are not one JSON object of 64 KiB at most are `invalid-argument`.", properties;
};

async fn track(s: Subject) -> Outcome {
    let good = || s.event("good");
    let long = "n".repeat(256);
    for (wrong, argument) in [
        (Track::new("").actor("a"), "event"),
        (Track::new("a\nb").actor("a"), "event"),
        (Track::new(&long).actor("a"), "event"),
        (Track::new("e"), "actor"),
        (good().actor(""), "actor"),
        (good().actor("a\0"), "actor"),
        (good().group("", "c"), "group"),
        (good().group("company", &long), "group"),
    ] {
        refuses(s.api.track(wrong.clone()).await, argument)?;
        refuses(s.api.track_all(vec![good(), wrong]).await, argument)?;
    }
    refuses(s.api.track_all(vec![good(); 1_001]).await, "events")?;
    equal("how many items wait", one("providers", s.api.status())?.waiting, 0)
}

async fn identify(s: Subject) -> Outcome {
    let good = || Identify::actor(s.own("ada"));
    let mut nobody = good();
    nobody.actor = None;
    for (wrong, argument) in [
        (nobody, "actor"),
        (Identify::actor(""), "actor"),
        (Identify::group("a\nb", "c"), "group"),
        (Identify::group("company", ""), "group"),
    ] {
        refuses(s.api.identify(wrong.clone()).await, argument)?;
        refuses(s.api.identify_all(vec![good(), wrong]).await, argument)?;
    }
    refuses(s.api.identify_all(vec![good(); 1_001]).await, "identities")?;
    equal("how many items wait", one("providers", s.api.status())?.waiting, 0)
}

async fn properties(s: Subject) -> Outcome {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(65_536));
    for text in ["", "1", "[]", "null", "{", "{}{}", large.as_str()] {
        refuses(JsonObject::parse(text), "JSON")?;
    }
    s.hands_over().await
}
