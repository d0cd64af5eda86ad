//! Looking at events as they come.

use reqwest::Response;
use serde_json::{Value, json};

use crate::server::{Server, error};

/// The frames of a watch, as they come.
pub(crate) struct Frames {
    response: Response,
    text: String,
}

impl Frames {
    /// Begins to watch; the subscription is there when this returns.
    pub(crate) async fn of(server: &Server, query: &[(&str, &str)]) -> Self {
        Self::at(server, "/v1/events/watch", query).await
    }

    /// Begins to watch what is shown at this path.
    pub(crate) async fn at(server: &Server, path: &str, query: &[(&str, &str)]) -> Self {
        let response = server.get(path, query).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// `id`, `event` and `data` of the next frame; none when the stream ends.
    pub(crate) async fn next(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = frame.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim_start().to_owned()
                };
                let data = serde_json::from_str(&field("data:"));
                let parsed = (field("id:"), field("event:"), data);
                self.text = rest.to_owned();
                // Comments keep the connection alive and say nothing.
                if let (id, event, Ok(data)) = parsed {
                    return Some((id, event, data));
                }
                continue;
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn a_watch_shows_each_event_that_matches_and_settles_it() {
    let server = Server::start().await;
    let mut frames = Frames::of(&server, &[("pattern", "order.*")]).await;
    for n in 0..200 {
        server.publish("cart.changed", json!(n)).await;
        server.publish("order.placed", json!({"n": n})).await;
    }
    for n in 0..200 {
        let (id, name, event) = frames.next().await.unwrap();
        assert_eq!(event["data"], json!({"n": n}));
        assert_eq!((event["id"].as_str(), name.as_str()), (Some(&*id), "order.placed"));
    }
    // Only the last batch may not be settled yet.
    let status = &server.subscriptions().await[0];
    assert_eq!(status["waiting"], 0);
    assert!(status["leased"].as_u64().unwrap() <= 64, "{status}");
}

#[tokio::test]
async fn a_watch_begins_now_unless_it_asks_for_what_was_retained() {
    let server = Server::start().await;
    server.publish("a", json!("before")).await;
    let mut now = Frames::of(&server, &[("pattern", "*")]).await;
    let mut all = Frames::of(&server, &[("pattern", "*"), ("retained", "true")]).await;
    server.publish("a", json!("after")).await;
    assert_eq!(now.next().await.unwrap().2["data"], "after");
    assert_eq!(all.next().await.unwrap().2["data"], "before");
    assert_eq!(all.next().await.unwrap().2["data"], "after");
}

#[tokio::test]
async fn nothing_is_left_of_a_watch_whose_client_went_away() {
    let server = Server::start().await;
    let watches = [
        Frames::of(&server, &[("pattern", "*")]).await,
        Frames::of(&server, &[("pattern", "a")]).await,
    ];
    let ids: Vec<_> = server.subscriptions().await;
    assert_eq!(ids.len(), 2);
    // What would be left if the process died now goes by itself.
    assert!(ids.iter().all(|status| status["idle_ttl"] == "1m"), "{ids:?}");
    drop(watches);
    server.no_subscription_is_left().await;
}

#[tokio::test]
async fn a_watch_whose_subscription_is_taken_away_says_why_it_ends() {
    let server = Server::start().await;
    let mut frames = Frames::of(&server, &[("pattern", "*")]).await;
    let id = server.subscriptions().await[0]["id"].as_str().unwrap().to_owned();
    server.runtime.events().remove_subscription(&id).await.unwrap();
    // It looks again when something happens.
    server.publish("a", json!(1)).await;
    let (_, name, data) = frames.next().await.unwrap();
    assert_eq!(name, "stheno.error");
    assert_eq!(data["error"]["kind"], "not-found");
    assert_eq!(frames.next().await, None);
}

#[tokio::test]
async fn a_pattern_that_cannot_be_is_refused_before_the_stream_begins() {
    let server = Server::start().await;
    for query in [&[][..], &[("pattern", "")], &[("pattern", "a\nb")], &[("patern", "*")]] {
        let response = server.get("/v1/events/watch", query).await;
        assert_eq!(response.status(), 400);
        let (_, message) = error(response).await;
        assert!(message.contains("pattern") || message.contains("`patern`"), "{message}");
    }
    assert!(server.subscriptions().await.is_empty());
}
