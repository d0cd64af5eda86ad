//! What is accepted and handed over.

use stheno::{Analytics, Identify, JsonObject, Track};

use super::Subject;
use crate::case::Case;
use crate::check::{Outcome, callers, equal};

pub(crate) const CASES: &[Case] = cases! {
    Analytics:
    "analytics.track.accepted" =>
        "Events of an actor, of a group and of both are accepted, with properties and without.", track;
    "analytics.identify.accepted" => "Actors and groups can be identified.", identify;
    "analytics.track.odd" => "Names have any characters but control characters, and up to 255 bytes.", odd;
    "analytics.track.largest" =>
        "Properties may have 64 KiB, and a batch 512 items.", largest;
    "analytics.track.callers" => "What 64 callers track at the same time is accepted.", many;
    "analytics.flush.empty" => "A flush with nothing to hand over is not an error.", empty;
    "analytics.stop.accepted" =>
        "A stop right after something was tracked ends without an error, and a new start serves.", stop;
};

async fn track(s: Subject) -> Outcome {
    let properties = JsonObject::parse(r#"{"total":12.50,"items":[1,null,"ü"],"deep":{"a":{}}}"#)?;
    let both = s.event("both").group("company", s.own("acme")).properties(properties.clone());
    s.api.track(both).await?;
    s.api.track(s.event("actor")).await?;
    s.api.track(Track::new(s.own("group")).group("company", "acme").properties(properties)).await?;
    s.hands_over().await
}

async fn identify(s: Subject) -> Outcome {
    let properties = JsonObject::parse(r#"{"name":"Ada"}"#)?;
    s.api.identify(Identify::actor(s.own("ada")).properties(properties.clone())).await?;
    let mut group = Identify::group("company", s.own("acme"));
    s.api.identify(group.clone()).await?;
    group.actor = Some(s.own("ada"));
    s.api.identify_all(vec![group.properties(properties), Identify::actor("bob")]).await?;
    s.hands_over().await
}

async fn odd(s: Subject) -> Outcome {
    for name in
        [" ", "a b", "ä", "日本", "🦀", "\"'\\", "{}", "$set", "../a", "%s", "null", "\u{202e}"]
    {
        s.api.track(Track::new(name).actor(name).group(name, name)).await?;
        s.api.identify(Identify::actor(name)).await?;
    }
    let longest = "n".repeat(255);
    s.api.track(Track::new(&longest).actor(&longest).group(&longest, &longest)).await?;
    s.hands_over().await
}

async fn largest(s: Subject) -> Outcome {
    let large = JsonObject::parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(65_527)))?;
    s.api.track(s.event("large").properties(large.clone())).await?;
    s.api.track_all(vec![s.event("large").properties(large); 10]).await?;
    s.api.track_all(vec![s.event("small"); 1_000]).await?;
    s.hands_over().await
}

async fn many(s: Subject) -> Outcome {
    callers(|n| {
        let (api, event) = (s.api.clone(), s.event(&format!("e{n}")));
        async move {
            for _ in 0..5 {
                api.track(event.clone()).await?;
            }
            Ok(api.flush().await?)
        }
    })
    .await?;
    s.hands_over().await
}

async fn empty(s: Subject) -> Outcome {
    s.api.flush().await?;
    s.api.track_all(Vec::new()).await?;
    s.api.identify_all(Vec::new()).await?;
    s.hands_over().await
}

async fn stop(s: Subject) -> Outcome {
    let events = (0..300).map(|n| s.event(&format!("e{n}"))).collect();
    s.api.track_all(events).await?;
    let api = s.api.clone();
    let s = s.restart().await?;
    let lost: u64 = api.status().iter().map(|status| status.lost + status.waiting).sum();
    equal("how many items were lost by the stop", lost, 0)?;
    s.api.track(s.event("after")).await?;
    s.hands_over().await
}
