//! Functions of the notifications.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::client::Client;
use super::events::pair;
use super::text_or_stdin;
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Send a notification and print its id
    #[command(name = "notifications.send")]
    Send(Box<New>),
    /// Print what is known of a notification, as JSON
    #[command(name = "notifications.get")]
    Get { id: String },
    /// Print notifications as JSON lines, the newest first
    #[command(name = "notifications.list")]
    List(Filter),
    /// Print what a provider has sent, as JSON lines, the oldest first
    #[command(name = "notifications.outbox")]
    Outbox {
        /// The id of the provider [default: the first]
        #[arg(long, value_name = "ID")]
        provider: Option<String>,
        #[command(flatten)]
        page: Page,
    },
}

#[derive(Args)]
pub(super) struct New {
    /// Such as email
    channel: String,
    /// Whatever the channel calls an address
    to: String,
    /// Who it is from [default: the provider's own]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// May be repeated
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<String>,
    /// May be repeated
    #[arg(long, value_name = "ADDRESS")]
    bcc: Vec<String>,
    /// May be repeated
    #[arg(long, value_name = "ADDRESS")]
    reply_to: Vec<String>,
    /// The name of a template
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// A JSON object that fills the template
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    #[arg(long)]
    subject: Option<String>,
    /// The body as plain text; - reads it from stdin
    #[arg(long)]
    text: Option<String>,
    /// The body as HTML
    #[arg(long)]
    html: Option<String>,
    /// A file to attach; may be repeated
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// A JSON object that only the provider understands
    #[arg(long, value_name = "JSON")]
    provider_data: Option<String>,
    /// What is sent under one key is sent once
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Send it also if it is not known whether its key was sent; it may go out twice
    #[arg(long, requires = "key")]
    resend_unknown: bool,
    /// Kept with it, to find it by; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
}

#[derive(Args)]
pub(super) struct Filter {
    #[arg(long)]
    channel: Option<String>,
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// pending, success, failure or unknown
    #[arg(long)]
    status: Option<String>,
    /// The id of the provider that took it, or failed last
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// The key that it was sent under
    #[arg(long)]
    key: Option<String>,
    /// May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Args)]
pub(super) struct Page {
    /// Go on after an earlier page
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    max: u32,
}

/// A notification as the API takes it; JSON stays as it was written.
#[derive(Serialize)]
struct Encoded {
    channel: String,
    to: String,
    from: Option<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    reply_to: Vec<String>,
    template: Option<String>,
    data: Option<Box<RawValue>>,
    content: Option<serde_json::Value>,
    attachments: Vec<serde_json::Value>,
    provider_data: Option<Box<RawValue>>,
    idempotency_key: Option<String>,
    resend_unknown: bool,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Batch {
    notifications: [Encoded; 1],
}

impl New {
    fn encoded(self) -> Result<Encoded, Failure> {
        let text = self.text.map(text_or_stdin).transpose()?;
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let content = (self.subject.is_some() || text.is_some() || self.html.is_some())
            .then(|| json!({"subject": self.subject, "text": text, "html": self.html}));
        let attachments =
            self.attach.iter().map(|file| attached(file)).collect::<Result<_, _>>()?;
        Ok(Encoded {
            channel: self.channel,
            to: self.to,
            from: self.from,
            cc: self.cc,
            bcc: self.bcc,
            reply_to: self.reply_to,
            template: self.template,
            data: json_of("--data", self.data)?,
            content,
            attachments,
            provider_data: json_of("--provider-data", self.provider_data)?,
            idempotency_key: self.key,
            resend_unknown: self.resend_unknown,
            labels: self.label.into_iter().collect(),
        })
    }
}

pub(super) fn json_of(
    argument: &str,
    text: Option<String>,
) -> Result<Option<Box<RawValue>>, Failure> {
    let read = |text: String| {
        RawValue::from_string(text).map_err(|error| {
            Failure::other(
                format!("{argument} is not JSON: {error}"),
                "write an object within single quotes, such as '{\"order\": 1001}'",
            )
        })
    };
    text.map(read).transpose()
}

fn attached(file: &Path) -> Result<serde_json::Value, Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        Failure::other(
            format!("{} cannot be read: {error}", file.display()),
            "give the path of a file to attach",
        )
    })?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(json!({"name": name, "content_base64": BASE64_STANDARD.encode(bytes)}))
}

#[derive(Deserialize)]
struct Sent {
    notifications: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    id: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(alias = "messages")]
    notifications: Vec<Box<RawValue>>,
    next: Option<String>,
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Send(new) => {
                let batch = Batch { notifications: [new.encoded()?] };
                let sent = client.post("/v1/notifications/send", &batch).await?;
                if json {
                    return sent.print();
                }
                for record in sent.read::<Sent>()?.notifications {
                    output::line(&record.id)?;
                }
                Ok(())
            }
            Self::Get { id } => {
                client.get("/v1/notifications/notification", &[("id", &id)]).await?.print()
            }
            Self::List(filter) => {
                let mut query: Vec<(&str, &str)> = Vec::new();
                for (name, value) in [
                    ("channel", &filter.channel),
                    ("to", &filter.to),
                    ("status", &filter.status),
                    ("provider", &filter.provider),
                    ("idempotency_key", &filter.key),
                ] {
                    query.extend(value.as_deref().map(|value| (name, value)));
                }
                query.extend(filter.label.iter().map(|label| ("label", label.as_str())));
                page(client, "/v1/notifications/list", query, &filter.page, json).await
            }
            Self::Outbox { provider, page: asked } => {
                let query = provider.as_deref().map(|id| ("provider", id)).into_iter().collect();
                page(client, "/v1/notifications/outbox", query, &asked, json).await
            }
        }
    }
}

async fn page<'a>(
    client: &Client,
    path: &str,
    mut query: Vec<(&'a str, &'a str)>,
    page: &'a Page,
    json: bool,
) -> Result<(), Failure> {
    let max = page.max.to_string();
    query.extend(page.after.as_deref().map(|after| ("after", after)));
    let mut query = query.clone();
    query.push(("max", max.as_str()));
    let found = client.get(path, &query).await?;
    if json {
        return found.print();
    }
    let found = found.read::<Found>()?;
    for item in found.notifications {
        output::line(item.get())?;
    }
    if let Some(next) = found.next {
        eprintln!("there are more: --after {next}");
    }
    Ok(())
}
