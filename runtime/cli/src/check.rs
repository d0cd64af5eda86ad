//! `stheno check`.

use clap::Args;
use serde_json::{Value, json};
use stheno::Runtime;
use stheno::config::Config;
use stheno_engine::{ServerSide, server_side};

use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::output;

/// What is checked.
#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON: {"ok": true, "modules": [...], "redis": [...]} or {"ok": false, "problems": [...]}
    #[arg(long)]
    pub(crate) json: bool,
    /// Reach no server: do not ask each granted Redis whether it keeps its user within the prefix
    #[arg(long)]
    offline: bool,
}

impl Check {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let modules = Runtime::builder().config(config.clone()).check().await?;
        let servers = if self.offline { Vec::new() } else { ask_servers(&config).await };
        if self.json {
            let modules: Vec<_> = modules
                .iter()
                .map(|(module, info)| json!({"module": module.as_str(), "provider": info}))
                .collect();
            let redis: Vec<_> = servers.iter().map(Server::as_json).collect();
            let config = self.config.path().map(|path| path.display().to_string());
            output::json(
                &json!({"ok": true, "config": config, "modules": modules, "redis": redis}),
            )?;
            return Ok(());
        }
        for (module, info) in modules {
            let features = info.features.join(", ");
            output::line(&format!(
                "{module}: {} {}, {}",
                info.name,
                info.version,
                if features.is_empty() { "no optional features".into() } else { features }
            ))?;
        }
        for server in &servers {
            output::line(&server.in_words())?;
        }
        match self.config.path() {
            Some(path) => output::line(&format!("{} is good", path.display()))?,
            None => output::line("there is no stheno.toml here: every module is local")?,
        }
        Ok(())
    }
}

/// A granted Redis.
struct Server {
    place: String,
    found: ServerSide,
}

/// Asks all granted Redis at the same time.
async fn ask_servers(config: &Config) -> Vec<Server> {
    let mut asked = Vec::new();
    for (place, provider) in config.modules.placed() {
        for (label, grant) in provider.grants.redis() {
            let place = format!("{place}.grants.redis.{}", label.as_str());
            asked.push(async move { Server { place, found: server_side(grant).await } });
        }
    }
    futures_util::future::join_all(asked).await
}

impl Server {
    fn in_words(&self) -> String {
        let place = &self.place;
        match &self.found {
            ServerSide::Refuses => format!("{place}: the server keeps the user within the prefix"),
            ServerSide::Lets(what) => format!(
                "{place}: the server lets the user of `url` {what}; Stheno does not, and `stheno \
                 acl` prints the rule that makes the server refuse it too"
            ),
            ServerSide::Unknown(why) => {
                format!(
                    "{place}: whether the server keeps the user within the prefix is not known: {why}"
                )
            }
        }
    }

    fn as_json(&self) -> Value {
        let (kept, why) = match &self.found {
            ServerSide::Refuses => (Some(true), None),
            ServerSide::Lets(what) => {
                (Some(false), Some(format!("the server lets the user {what}")))
            }
            ServerSide::Unknown(why) => (None, Some(why.clone())),
        };
        json!({"place": self.place, "kept_by_server": kept, "why": why})
    }
}
