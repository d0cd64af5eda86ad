//! `stheno acl`.

use clap::Args;
use stheno_engine::acl_line;

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
        for module in stheno::config::ModuleName::ALL {
            for (place, provider) in config.modules.all(*module) {
                for (label, grant) in provider.grants.redis() {
                    any = true;
                    output::line(&format!(
                        "# {place}.grants.redis.{}, at {}",
                        label.as_str(),
                        grant.url
                    ))?;
                    output::line(&acl_line(grant))?;
                }
            }
        }
        if !any {
            output::line("# no Redis is granted to any provider")?;
        }
        Ok(())
    }
}
