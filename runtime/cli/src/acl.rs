//! `stheno acl`.

use clap::Args;
use stheno_engine::{acl_line, role_lines};

use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::output;

/// Whose rules are printed.
#[derive(Args)]
pub(crate) struct Acl {
    #[command(flatten)]
    config: ConfigFile,
}

impl Acl {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let mut any = false;
        for (place, provider) in config.modules.placed() {
            for (label, grant) in provider.grants.redis() {
                any = true;
                output::line(&format!(
                    "# {place}.grants.redis.{}, at {}",
                    label.as_str(),
                    grant.url
                ))?;
                output::line(&acl_line(grant))?;
            }
            for (label, grant) in provider.grants.sql() {
                any = true;
                let label = label.as_str();
                output::line(&format!("-- {place}.grants.sql.{label}, at {}", grant.url))?;
                output::line(&role_lines(grant))?;
            }
        }
        if !any {
            output::line("# neither Redis nor SQL is granted to any provider")?;
        }
        Ok(())
    }
}
