//! `stheno check`.

use clap::Args;
use serde_json::json;
use stheno::Runtime;

use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::output;

/// What is checked.
#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON: {"ok": true, "modules": [...]} or {"ok": false, "problems": [...]}
    #[arg(long)]
    pub(crate) json: bool,
}

impl Check {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let modules = Runtime::builder().config(config).check().await?;
        if self.json {
            let modules: Vec<_> = modules
                .iter()
                .map(|(module, info)| json!({"module": module.as_str(), "provider": info}))
                .collect();
            let config = self.config.path().map(|path| path.display().to_string());
            output::json(&json!({"ok": true, "config": config, "modules": modules}))?;
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
        match self.config.path() {
            Some(path) => output::line(&format!("{} is good", path.display()))?,
            None => output::line("there is no stheno.toml here: every module is local")?,
        }
        Ok(())
    }
}
