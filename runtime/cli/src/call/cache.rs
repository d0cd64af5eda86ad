//! Functions of the cache.

use clap::Subcommand;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::client::Client;
use super::text_or_stdin;
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Print the value under a key, byte for byte; exit code 1 if there is none
    #[command(name = "cache.get")]
    Get { key: String },
    /// Store a value
    #[command(name = "cache.set")]
    Set {
        key: String,
        /// The value; - reads it from stdin
        value: String,
        /// How long it lives, such as 30s; 0s removes it [default: the provider's]
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
        /// A name by which it can be found and cleared; may be repeated
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Remove keys
    #[command(name = "cache.delete")]
    Delete {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
    /// Print the entries that carry at least one of the tags, as JSON lines
    #[command(name = "cache.get-by-tags")]
    GetByTags {
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Remove every entry that carries one of the tags
    #[command(name = "cache.clear-tags")]
    ClearTags {
        #[arg(required = true, value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Remove every entry whose whole key matches
    #[command(name = "cache.clear-matching")]
    ClearMatching {
        /// * is any run of characters, every other character is itself
        pattern: String,
    },
}

const ENTRY: &str = "/v1/cache/entry";

#[derive(Deserialize)]
struct Entries {
    entries: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Looked {
    value_base64: Option<String>,
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Get { key } if json => get_json(client, &key).await,
            Self::Get { key } => get(client, &key).await,
            Self::Set { key, value, ttl, tags } => {
                let mut query = vec![("key", key.as_str())];
                query.extend(ttl.as_deref().map(|ttl| ("ttl", ttl)));
                query.extend(tags.iter().map(|tag| ("tag", tag.as_str())));
                let value = text_or_stdin(value)?;
                client.ask(Method::PUT, ENTRY, &query, value).await?.print()
            }
            Self::Delete { keys } => {
                client.post("/v1/cache/delete", &json!({"keys": keys})).await?.print()
            }
            Self::GetByTags { tags } => {
                let found = client.post("/v1/cache/get-by-tags", &json!({"tags": tags})).await?;
                if json {
                    return found.print();
                }
                for entry in found.read::<Entries>()?.entries {
                    output::line(entry.get())?;
                }
                Ok(())
            }
            Self::ClearTags { tags } => {
                client.post("/v1/cache/clear-tags", &json!({"tags": tags})).await?.print()
            }
            Self::ClearMatching { pattern } => {
                let pattern = json!({"pattern": pattern});
                client.post("/v1/cache/clear-matching", &pattern).await?.print()
            }
        }
    }
}

async fn get(client: &Client, key: &str) -> Result<(), Failure> {
    let sent = client.send(Method::GET, ENTRY, &[("key", key)], Vec::new()).await;
    let response = match sent {
        Err(Failure::Answer { kind, .. }) if kind == "not-found" => {
            eprintln!("not found");
            return Err(Failure::Told);
        }
        sent => sent?,
    };
    let value = response.bytes().await.map_err(|error| client.unanswered(&error))?;
    output::bytes(&value)?;
    Ok(())
}

async fn get_json(client: &Client, key: &str) -> Result<(), Failure> {
    let looked = client.post("/v1/cache/get", &json!({"keys": [key]})).await?;
    for entry in looked.read::<Entries>()?.entries {
        output::line(entry.get())?;
        let looked: Looked = serde_json::from_str(entry.get()).map_err(std::io::Error::from)?;
        if looked.value_base64.is_none() {
            return Err(Failure::Told);
        }
    }
    Ok(())
}
