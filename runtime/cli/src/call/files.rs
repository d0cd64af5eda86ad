//! Functions of the files. Bodies stream from and to files, stdin and stdout.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::{Body, Method, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::client::{Client, Sent};
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Store a file and print its key
    #[command(name = "files.put")]
    Put {
        /// The file; - reads it from stdin
        file: PathBuf,
        /// The name that its key is made from [default: that of the file]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        description: Description,
        #[command(flatten)]
        store: Store,
    },
    /// Print a file, byte for byte; exit code 1 if there is none
    #[command(name = "files.get")]
    Get {
        key: String,
        /// Where to write it instead; it appears there when it is whole
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Which bytes, such as 0-1023, 1024- or -500
        #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
        range: Option<String>,
        #[command(flatten)]
        store: Store,
    },
    /// Print what is known of a file, as JSON
    #[command(name = "files.stat")]
    Stat {
        key: String,
        #[command(flatten)]
        store: Store,
    },
    /// Remove files; exit code 1 if one could not be
    #[command(name = "files.delete")]
    Delete {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        store: Store,
    },
    /// Print the files whose key begins with a prefix, as JSON lines
    #[command(name = "files.list")]
    List {
        /// Empty for all of them
        prefix: String,
        #[command(flatten)]
        store: Store,
    },
    /// Store the body of a file once more and print the key
    #[command(name = "files.copy")]
    Copy {
        key: String,
        /// Another name; the copy is then described by the options alone
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        description: Description,
        #[command(flatten)]
        store: Store,
    },
    /// Print a link to read a file
    #[command(name = "files.download-url")]
    DownloadUrl {
        key: String,
        /// How long it is valid: 1s to 168h
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        expires: String,
        #[command(flatten)]
        store: Store,
    },
    /// Print a link to upload a file with PUT, as JSON with the key that it will have
    #[command(name = "files.upload-url")]
    UploadUrl {
        name: String,
        /// How long it is valid: 1s to 168h
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        expires: String,
        #[command(flatten)]
        description: Description,
        #[command(flatten)]
        store: Store,
    },
}

/// Which store is meant.
#[derive(Args)]
pub(super) struct Store {
    /// The id of the file store [default: the default one]
    #[arg(long, value_name = "ID")]
    store: Option<String>,
}

impl Store {
    /// The store as a query has it.
    fn query(&self) -> Option<(&'static str, &str)> {
        self.store.as_deref().map(|id| ("store", id))
    }
}

/// What is said of a file beside its name.
#[derive(Args)]
pub(super) struct Description {
    /// Its media type, such as text/csv
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// Readable by anybody who knows its URL
    #[arg(long)]
    public: bool,
    /// Its Cache-Control
    #[arg(long, value_name = "TEXT")]
    cache_control: Option<String>,
    /// A pair of metadata; may be repeated
    #[arg(long = "meta", value_name = "KEY=VALUE")]
    metadata: Vec<String>,
}

const FILES: &str = "/v1/files";
const CONTENT: &str = "/v1/files/content";

#[derive(Deserialize)]
struct Stored {
    key: String,
}

#[derive(Deserialize)]
struct Link {
    url: String,
}

#[derive(Deserialize)]
struct Page {
    files: Vec<Box<RawValue>>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Deleted {
    results: Vec<DeletedKey>,
}

#[derive(Deserialize)]
struct DeletedKey {
    key: String,
    error: Option<DeletedError>,
}

#[derive(Deserialize)]
struct DeletedError {
    kind: String,
    message: String,
}

impl Description {
    fn access(&self) -> &'static str {
        if self.public { "public" } else { "private" }
    }

    fn is_empty(&self) -> bool {
        let Self { content_type, public, cache_control, metadata } = self;
        content_type.is_none() && !public && cache_control.is_none() && metadata.is_empty()
    }

    fn json(&self, name: &str) -> Result<Value, Failure> {
        let mut metadata = Map::new();
        for pair in &self.metadata {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Failure::other(
                    format!("{pair:?} is not a pair"),
                    "write --meta KEY=VALUE",
                ));
            };
            metadata.insert(key.to_owned(), value.into());
        }
        Ok(json!({
            "name": name, "content_type": self.content_type, "access": self.access(),
            "cache_control": self.cache_control, "metadata": metadata,
        }))
    }
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Put { file, name, description, store } => {
                let stored = put(client, &file, name, &description, &store).await?;
                shown(json, &stored, |stored: Stored| stored.key)
            }
            Self::Get { key, output, range, store } => {
                get(client, &key, output.as_deref(), range.as_deref(), &store).await
            }
            Self::Stat { key, store } => {
                let mut query = vec![("key", key.as_str())];
                query.extend(store.query());
                client.get("/v1/files/info", &query).await?.print()
            }
            Self::Delete { keys, store } => delete(client, &keys, &store, json).await,
            Self::List { prefix, store } => list(client, &prefix, &store).await,
            Self::Copy { key, name, description, store } => {
                let mut body = json!({"key": key, "store": store.store});
                if let (Some(name), Some(body)) = (&name, body.as_object_mut()) {
                    body.insert("file".to_owned(), description.json(name)?);
                } else if !description.is_empty() {
                    return Err(Failure::other(
                        "a copy that is described anew needs a name".to_owned(),
                        "add --name NAME",
                    ));
                }
                let copy = client.post("/v1/files/copy", &body).await?;
                shown(json, &copy, |stored: Stored| stored.key)
            }
            Self::DownloadUrl { key, expires, store } => {
                let body = json!({"key": key, "expires": expires, "store": store.store});
                let link = client.post("/v1/files/download-url", &body).await?;
                shown(json, &link, |link: Link| link.url)
            }
            Self::UploadUrl { name, expires, description, store } => {
                let file = description.json(&name)?;
                let body = json!({"file": file, "expires": expires, "store": store.store});
                client.post("/v1/files/upload-url", &body).await?.print()
            }
        }
    }
}

/// The whole answer with `--json`, what a script wants without.
fn shown<T: serde::de::DeserializeOwned>(
    json: bool,
    answer: &super::client::Answer,
    wanted: impl FnOnce(T) -> String,
) -> Result<(), Failure> {
    if json {
        return answer.print();
    }
    output::line(&wanted(answer.read()?))?;
    Ok(())
}

async fn put(
    client: &Client,
    file: &Path,
    name: Option<String>,
    description: &Description,
    store: &Store,
) -> Result<super::client::Answer, Failure> {
    let from_stdin = file.as_os_str() == "-";
    let own = file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.or(own.filter(|_| !from_stdin)).ok_or_else(|| {
        Failure::other("the file has no name".to_owned(), "give it one with --name NAME")
    })?;
    let mut query = vec![("name", name.as_str()), ("access", description.access())];
    query.extend(store.query());
    query.extend(description.cache_control.as_deref().map(|text| ("cache_control", text)));
    query.extend(description.metadata.iter().map(|pair| ("meta", pair.as_str())));
    let mut headers = header::HeaderMap::new();
    if let Some(content_type) = &description.content_type {
        let value = content_type.parse().map_err(|_| {
            Failure::other(format!("{content_type:?} is no media type"), "write such as text/csv")
        })?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    let body = if from_stdin {
        Body::wrap_stream(ReaderStream::new(tokio::io::stdin()))
    } else {
        let opened = tokio::fs::File::open(file).await.map_err(|error| Failure::Other {
            message: format!("{} cannot be read: {error}", file.display()),
            help: None,
        })?;
        // With its length the server can refuse what is too long before it is
        // sent.
        let metadata = opened.metadata().await?;
        if metadata.is_file() {
            headers.insert(header::CONTENT_LENGTH, metadata.len().into());
        }
        Body::wrap_stream(ReaderStream::with_capacity(opened, 128 * 1024))
    };
    let sent = Sent { method: Method::POST, path: FILES, query: &query, headers, body };
    client.read(client.send_body(sent).await?).await
}

async fn get(
    client: &Client,
    key: &str,
    output: Option<&Path>,
    range: Option<&str>,
    store: &Store,
) -> Result<(), Failure> {
    let mut headers = header::HeaderMap::new();
    if let Some(range) = range {
        let value = format!("bytes={range}").parse().map_err(|_| {
            Failure::other(format!("{range:?} is no range"), "write such as 0-1023, 1024- or -500")
        })?;
        headers.insert(header::RANGE, value);
    }
    let mut query = vec![("key", key)];
    query.extend(store.query());
    let sent =
        Sent { method: Method::GET, path: CONTENT, query: &query, headers, body: Body::default() };
    let mut response = match client.send_body(sent).await {
        Err(Failure::Answer { kind, .. }) if kind == "not-found" => {
            eprintln!("not found");
            return Err(Failure::Told);
        }
        sent => sent?,
    };
    let Some(file) = output else {
        while let Some(chunk) = response.chunk().await.map_err(|error| client.unanswered(&error))? {
            output::bytes(&chunk)?;
        }
        return Ok(());
    };
    let unwritten = |error: std::io::Error| Failure::Other {
        message: format!("{} cannot be written: {error}", file.display()),
        help: None,
    };
    let mut aside = file.as_os_str().to_owned();
    aside.push(".part");
    let written = async {
        let mut into = tokio::fs::File::create(&aside).await.map_err(unwritten)?;
        while let Some(chunk) = response.chunk().await.map_err(|error| client.unanswered(&error))? {
            into.write_all(&chunk).await.map_err(unwritten)?;
        }
        into.sync_all().await.map_err(unwritten)?;
        tokio::fs::rename(&aside, file).await.map_err(unwritten)
    };
    let written = written.await;
    if written.is_err() {
        // It may not be there at all.
        let _ = tokio::fs::remove_file(&aside).await;
    }
    written
}

async fn list(client: &Client, prefix: &str, store: &Store) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("prefix", prefix), ("limit", "1000")];
        query.extend(store.query());
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page: Page = client.get("/v1/files/list", &query).await?.read()?;
        for file in page.files {
            output::line(file.get())?;
        }
        match page.cursor {
            None => return Ok(()),
            Some(next) => cursor = Some(next),
        }
    }
}

async fn delete(
    client: &Client,
    keys: &[String],
    store: &Store,
    json: bool,
) -> Result<(), Failure> {
    let body = json!({"keys": keys, "store": store.store});
    let answer = client.post("/v1/files/delete", &body).await?;
    if json {
        answer.print()?;
    }
    let mut failed = false;
    for DeletedKey { key, error } in answer.read::<Deleted>()?.results {
        if let Some(DeletedError { kind, message }) = error {
            failed = true;
            if !json {
                eprintln!("{key}: {kind}: {message}");
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}
