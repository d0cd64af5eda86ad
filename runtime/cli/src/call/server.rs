//! What the server has, whichever module it serves.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Client;
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Show which providers there are, and what they were denied, as JSON lines
    #[command(name = "server.providers")]
    Providers,
}

#[derive(Deserialize)]
struct Providers {
    providers: Vec<Box<RawValue>>,
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        let Self::Providers = self;
        let all = client.get("/v1/providers", &[]).await?;
        if json {
            return all.print();
        }
        for provider in all.read::<Providers>()?.providers {
            output::line(provider.get())?;
        }
        Ok(())
    }
}
