//! `stheno call`: the HTTP API for shell scripts.
//!
//! Each function is a subcommand. Plain output is what a script would want to
//! pipe on: a cached value as its bytes, deliveries as JSON lines. With `--json`
//! it is the server's answer.

mod analytics;
mod cache;
mod client;
mod events;
mod files;
mod locking;
mod notifications;
mod server;
mod watch;
mod workflows;

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use client::Client;

/// What is called, and where.
#[derive(Args)]
#[command(after_help = "A token is taken from the variable STHENO_TOKEN or from --token-file.\n\
    Write -- before arguments that begin with a dash.")]
pub(crate) struct Call {
    /// Where `stheno up` listens
    #[arg(
        long,
        env = "STHENO_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:7070",
        global = true
    )]
    url: String,
    /// A file that holds the token
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Print the server's answer as JSON, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    function: Function,
}

#[derive(Subcommand)]
#[command(subcommand_value_name = "FUNCTION", subcommand_help_heading = "Functions")]
enum Function {
    #[command(flatten)]
    Cache(cache::Function),
    #[command(flatten)]
    Events(events::Function),
    #[command(flatten)]
    Locking(locking::Function),
    #[command(flatten)]
    Files(files::Function),
    #[command(flatten)]
    Notifications(notifications::Function),
    #[command(flatten)]
    Analytics(analytics::Function),
    #[command(flatten)]
    Workflows(workflows::Function),
    #[command(flatten)]
    Server(server::Function),
}

impl Call {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.url, self.token_file.as_deref())?;
        match self.function {
            Function::Cache(function) => function.run(&client, self.json).await,
            Function::Events(function) => function.run(&client, self.json).await,
            Function::Files(function) => function.run(&client, self.json).await,
            Function::Locking(function) => function.run(&client, self.json).await,
            Function::Notifications(function) => function.run(&client, self.json).await,
            Function::Analytics(function) => function.run(&client, self.json).await,
            Function::Workflows(function) => function.run(&client, self.json).await,
            Function::Server(function) => function.run(&client, self.json).await,
        }
    }
}

/// An argument that is text, or `-` for all of stdin.
fn text_or_stdin(argument: String) -> Result<Vec<u8>, Failure> {
    if argument != "-" {
        return Ok(argument.into_bytes());
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Failure::Other {
        message: format!("stdin cannot be read: {error}"),
        help: None,
    })?;
    Ok(bytes)
}
