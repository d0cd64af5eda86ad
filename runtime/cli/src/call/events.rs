//! Functions of the events.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Client, encoded};
use super::{text_or_stdin, watch};
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Publish an event and print its id
    #[command(name = "events.publish")]
    Publish(Event),
    /// Hold an event back in a group until the group is released
    #[command(name = "events.stage")]
    Stage {
        group: String,
        #[command(flatten)]
        event: Event,
        /// How long the group is kept after this [default: 10m]
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
    },
    /// Publish what a group holds and print how many events that were
    #[command(name = "events.release")]
    Release { group: String },
    /// Forget what a group holds, or the events with these names, and print how many
    #[command(name = "events.discard")]
    Discard {
        group: String,
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Create a subscription; the same one again changes nothing
    #[command(name = "events.subscribe")]
    Subscribe {
        /// Outcomes are recorded under it: keep it across restarts
        id: String,
        /// Such as order.*; * is any run of characters, dots included
        pattern: String,
        /// Leave out what was published before and reached nobody
        #[arg(long)]
        no_retained: bool,
        /// Remove it once nobody has pulled for so long [default: it stays]
        #[arg(long, value_name = "DURATION")]
        idle_ttl: Option<String>,
    },
    /// Remove a subscription, all that waits in it, and its dead letters
    #[command(name = "events.unsubscribe")]
    Unsubscribe { id: String },
    /// Print all subscriptions, one a line: id, pattern, waiting, leased, dead
    #[command(name = "events.subscriptions")]
    Subscriptions,
    /// Take due deliveries and print them as JSON lines; settle each one's token
    #[command(name = "events.pull")]
    Pull {
        /// The id of the subscription
        id: String,
        /// At most so many
        #[arg(long, default_value_t = 1, value_name = "COUNT")]
        max: u32,
        /// How long to wait for the first one, at most 5m
        #[arg(long, default_value = "0s", value_name = "DURATION")]
        wait: String,
        /// What is not settled by then is delivered again
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        lease: String,
    },
    /// Record how a delivery went; exit code 1 if its lease was lost
    #[command(name = "events.settle")]
    Settle {
        /// What the pull printed
        token: String,
        #[arg(value_enum)]
        verdict: Verdict,
        /// Why it failed or was rejected
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lease deliveries for longer; exit code 1 if one was lost
    #[command(name = "events.extend")]
    Extend {
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<String>,
        /// From now
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        lease: String,
    },
    /// Print dead letters as JSON lines, the oldest first
    #[command(name = "events.dead-letters")]
    DeadLetters {
        /// Only those of this subscription
        #[arg(long, value_name = "ID")]
        subscription: Option<String>,
        /// Go on after an earlier page
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        max: u32,
    },
    /// Make dead letters due again and print how many there were
    #[command(name = "events.replay")]
    Replay {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Forget dead letters and print how many there were
    #[command(name = "events.remove-dead-letters")]
    RemoveDeadLetters {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Print events as they come, as JSON lines, until it is interrupted
    #[command(name = "events.watch")]
    Watch {
        /// Such as order.*; * is any run of characters, dots included
        pattern: String,
        /// Begin with what was published before and reached nobody
        #[arg(long)]
        retained: bool,
        /// End after so many
        #[arg(long)]
        count: Option<u64>,
    },
}

#[derive(Args)]
pub(super) struct Event {
    /// Such as order.placed
    name: String,
    /// The body as JSON; - reads it from stdin
    data: String,
    /// The body is bytes, not JSON
    #[arg(long)]
    raw: bool,
    /// A pair that travels with it; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Hold it back before its first delivery
    #[arg(long, value_name = "DURATION")]
    delay: Option<String>,
    /// 1 (first) to 2097152 (last) [default: 100]
    #[arg(long)]
    priority: Option<u32>,
    /// How many times a subscription may fail it [default: the provider's]
    #[arg(long, value_name = "COUNT")]
    attempts: Option<u32>,
    /// The wait after the first failure, which doubles with each
    #[arg(long, value_name = "DURATION", requires = "backoff_max")]
    backoff_initial: Option<String>,
    /// The longest wait
    #[arg(long, value_name = "DURATION", requires = "backoff_initial")]
    backoff_max: Option<String>,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// Done with
    Handled,
    /// Tried again later, or dead after the last attempt
    Failed,
    /// Dead now
    Rejected,
    /// Not tried: due again at once
    Returned,
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// An event as the API takes it; JSON stays as it was written.
#[derive(Serialize)]
struct Encoded {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    metadata: BTreeMap<String, String>,
    delay: Option<String>,
    priority: Option<u32>,
    attempts: Option<u32>,
    backoff: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct Batch {
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    events: [Encoded; 1],
}

impl Event {
    fn encoded(self) -> Result<Encoded, Failure> {
        let bytes = text_or_stdin(self.data)?;
        let (data, data_base64) = if self.raw {
            (None, Some(BASE64_STANDARD.encode(bytes)))
        } else {
            let json = serde_json::from_slice::<Box<RawValue>>(&bytes).map_err(|error| {
                Failure::other(
                    format!("the body is not JSON: {error}"),
                    "write text in double quotes within single ones: '\"text\"', or send bytes \
                     as they are with --raw",
                )
            })?;
            (Some(json), None)
        };
        let backoff = self.backoff_initial.zip(self.backoff_max);
        Ok(Encoded {
            name: self.name,
            data,
            data_base64,
            metadata: self.metadata.into_iter().collect(),
            delay: self.delay,
            priority: self.priority,
            attempts: self.attempts,
            backoff: backoff.map(|(initial, max)| json!({"initial": initial, "max": max})),
        })
    }
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Deserialize)]
struct Count {
    #[serde(alias = "dead_letters")]
    events: u64,
}

#[derive(Deserialize)]
struct Deliveries {
    deliveries: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Lost {
    lost: Vec<String>,
}

#[derive(Deserialize)]
struct Subscriptions {
    subscriptions: Vec<Subscription>,
}

#[derive(Deserialize)]
struct Subscription {
    id: String,
    pattern: String,
    waiting: u64,
    leased: u64,
    dead: u64,
}

#[derive(Deserialize)]
struct Page {
    dead_letters: Vec<Box<RawValue>>,
    next: Option<String>,
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Publish(event) => {
                let batch = Batch { group: None, ttl: None, events: [event.encoded()?] };
                let published = client.post("/v1/events/publish", &batch).await?;
                if json {
                    return published.print();
                }
                for id in published.read::<Ids>()?.ids {
                    output::line(&id)?;
                }
                Ok(())
            }
            Self::Stage { group, event, ttl } => {
                let batch = Batch { group: Some(group), ttl, events: [event.encoded()?] };
                client.post("/v1/events/groups/stage", &batch).await?.print()
            }
            Self::Release { group } => {
                let body = json!({"group": group});
                count(client, "/v1/events/groups/release", &body, json).await
            }
            Self::Discard { group, names } => {
                let body = json!({"group": group, "names": names});
                count(client, "/v1/events/groups/discard", &body, json).await
            }
            Self::Subscribe { id, pattern, no_retained, idle_ttl } => {
                let body = json!({
                    "pattern": pattern, "retained": !no_retained, "idle_ttl": idle_ttl,
                });
                let query = [("id", id.as_str())];
                client.ask(Method::PUT, SUBSCRIPTION, &query, encoded(&body)?).await?.print()
            }
            Self::Unsubscribe { id } => {
                let query = [("id", id.as_str())];
                client.ask(Method::DELETE, SUBSCRIPTION, &query, Vec::new()).await?.print()
            }
            Self::Subscriptions => subscriptions(client, json).await,
            Self::Pull { id, max, wait, lease } => {
                let body = json!({"subscription": id, "max": max, "wait": wait, "lease": lease});
                let pulled = client.post("/v1/events/pull", &body).await?;
                if json {
                    return pulled.print();
                }
                for delivery in pulled.read::<Deliveries>()?.deliveries {
                    output::line(delivery.get())?;
                }
                Ok(())
            }
            Self::Settle { token, verdict, reason } => {
                let outcome = json!({"token": token, "verdict": verdict, "reason": reason});
                let body = json!({"outcomes": [outcome]});
                kept(client, "/v1/events/settle", &body, json).await
            }
            Self::Extend { tokens, lease } => {
                let body = json!({"tokens": tokens, "lease": lease});
                kept(client, "/v1/events/extend", &body, json).await
            }
            Self::DeadLetters { subscription, after, max } => {
                let max = max.to_string();
                let mut query = vec![("max", max.as_str())];
                query.extend(subscription.as_deref().map(|id| ("subscription", id)));
                query.extend(after.as_deref().map(|after| ("after", after)));
                dead_letters(client, &query, json).await
            }
            Self::Replay { ids } => {
                let body = json!({"ids": ids});
                count(client, "/v1/events/dead-letters/replay", &body, json).await
            }
            Self::RemoveDeadLetters { ids } => {
                let body = json!({"ids": ids});
                count(client, "/v1/events/dead-letters/remove", &body, json).await
            }
            Self::Watch { pattern, retained, count } => {
                let retained = if retained { "true" } else { "false" };
                let query = [("pattern", pattern.as_str()), ("retained", retained)];
                watch::run(client, "/v1/events/watch", &query, count).await
            }
        }
    }
}

const SUBSCRIPTION: &str = "/v1/events/subscription";

async fn count(
    client: &Client,
    path: &str,
    body: &serde_json::Value,
    json: bool,
) -> Result<(), Failure> {
    let answer = client.post(path, body).await?;
    if json {
        return answer.print();
    }
    output::line(&answer.read::<Count>()?.events.to_string())?;
    Ok(())
}

/// Fails if a lease was lost.
async fn kept(
    client: &Client,
    path: &str,
    body: &serde_json::Value,
    json: bool,
) -> Result<(), Failure> {
    let answer = client.post(path, body).await?;
    if json {
        answer.print()?;
    }
    let lost = answer.read::<Lost>()?.lost;
    if lost.is_empty() {
        return Ok(());
    }
    if !json {
        eprintln!("error: lost-lease: {} ran out, or was settled before", lost.join(", "));
    }
    Err(Failure::Told)
}

async fn subscriptions(client: &Client, json: bool) -> Result<(), Failure> {
    let all = client.get("/v1/events/subscriptions", &[]).await?;
    if json {
        return all.print();
    }
    // No id or pattern has a tab or a line end in it.
    output::line("ID\tPATTERN\tWAITING\tLEASED\tDEAD")?;
    for Subscription { id, pattern, waiting, leased, dead } in
        all.read::<Subscriptions>()?.subscriptions
    {
        output::line(&format!("{id}\t{pattern}\t{waiting}\t{leased}\t{dead}"))?;
    }
    Ok(())
}

async fn dead_letters(client: &Client, query: &[(&str, &str)], json: bool) -> Result<(), Failure> {
    let page = client.get("/v1/events/dead-letters", query).await?;
    if json {
        return page.print();
    }
    let Page { dead_letters, next } = page.read()?;
    for letter in dead_letters {
        output::line(letter.get())?;
    }
    if let Some(next) = next {
        eprintln!("there are more: --after {next}");
    }
    Ok(())
}
