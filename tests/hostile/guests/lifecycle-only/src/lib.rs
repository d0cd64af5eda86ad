//! A component that can be started and serves no module: of the wrong world
//! wherever it is named.

use stheno_sdk::{Description, Instances, Lifecycle, Result};

struct Idle;

impl Lifecycle for Idle {
    fn describe() -> Description {
        Description::new("lifecycle-only", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self)
    }
}

stheno_sdk::export_lifecycle!(Idle);
