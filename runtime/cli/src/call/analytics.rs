//! Functions of the analytics.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::Client;
use super::events::pair;
use super::notifications::json_of;
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Track an event, of an actor, a group, or both
    #[command(name = "analytics.track")]
    Track {
        /// Such as order.placed
        event: String,
        #[command(flatten)]
        who: Who,
    },
    /// Say what is known of an actor, or of a group if one is given
    #[command(name = "analytics.identify")]
    Identify {
        #[command(flatten)]
        who: Who,
    },
    /// Have every provider write out what was accepted
    #[command(name = "analytics.flush")]
    Flush,
}

#[derive(Args)]
pub(super) struct Who {
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Such as company=acme
    #[arg(long, value_name = "KIND=ID", value_parser = pair)]
    group: Option<(String, String)>,
    /// A JSON object
    #[arg(long, value_name = "JSON")]
    properties: Option<String>,
}

/// An item as the API takes it; JSON stays as it was written.
#[derive(Serialize)]
struct Encoded {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    actor: Option<String>,
    group: Option<Value>,
    properties: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Events {
    events: [Encoded; 1],
}

#[derive(Serialize)]
struct Identities {
    identities: [Encoded; 1],
}

#[derive(Deserialize)]
struct Flushed {
    providers: Vec<Keeping>,
}

#[derive(Deserialize)]
struct Keeping {
    provider: String,
    waiting: u64,
    lost: u64,
}

impl Who {
    fn encoded(self, event: Option<String>) -> Result<Encoded, Failure> {
        Ok(Encoded {
            event,
            actor: self.actor,
            group: self.group.map(|(kind, id)| json!({"kind": kind, "id": id})),
            properties: json_of("--properties", self.properties)?,
        })
    }
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Track { event, who } => {
                let events = [who.encoded(Some(event))?];
                client.post("/v1/analytics/track", &Events { events }).await?.print()
            }
            Self::Identify { who } => {
                let identities = [who.encoded(None)?];
                client.post("/v1/analytics/identify", &Identities { identities }).await?.print()
            }
            Self::Flush => {
                let path = "/v1/analytics/flush";
                let flushed = client.ask(Method::POST, path, &[], Vec::new()).await?;
                if json {
                    return flushed.print();
                }
                output::line("PROVIDER\tWAITING\tLOST")?;
                for Keeping { provider, waiting, lost } in flushed.read::<Flushed>()?.providers {
                    output::line(&format!("{provider}\t{waiting}\t{lost}"))?;
                }
                Ok(())
            }
        }
    }
}
