//! The suite itself: who keeps the guarantees passes, who breaks one is caught.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what is not there fails the test")]

mod faults;
mod providers;
mod shape;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use stheno::config::{CompileCache, Config, Resolve};
use stheno_conformance::{Options, Report, Status, Target, run};
use stheno_engine::Source;
use stheno_test_support::{compile_cache, guest, guest_bytes};
use tempfile::TempDir;

/// A config with the compile cache of all suites, in which `{folder}` is a fresh
/// folder.
struct Setup {
    config: Config,
    _folder: TempDir,
}

impl Setup {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = text.replace("{folder}", folder.path().to_str().unwrap());
        let mut config = Config::parse(&text, "stheno.toml", Path::new("/"), &|_| None).unwrap();
        let cache = compile_cache(env!("CARGO_TARGET_TMPDIR"));
        config.runtime.compile_cache = CompileCache::Folder(cache);
        Self { config, _folder: folder }
    }

    async fn target(&self, name: &str) -> Arc<Target> {
        self.target_at(name, Resolve::File(guest(name))).await
    }

    async fn built_in(&self, name: &str) -> Arc<Target> {
        self.target_at(name, Resolve::parse(name, Path::new("")).unwrap()).await
    }

    async fn target_at(&self, name: &str, resolve: Resolve) -> Arc<Target> {
        let source = Source { name: name.to_owned(), bytes: guest_bytes(name).into() };
        let target = Target::find(resolve, source, None, Some(self.config.clone())).await;
        Arc::new(target.expect("it can be tested"))
    }
}

/// Tests a guest with what a config gives it.
async fn report(name: &str, config: &str) -> Report {
    let setup = Setup::new(config);
    run(&setup.target(name).await, &Options::default(), |_| {}).await
}

/// The ids of the cases that ended so.
fn ids(report: &Report, status: Status) -> Vec<&str> {
    report.cases.iter().filter(|case| case.status == status).map(|case| case.id).collect()
}

/// The contract of a module, as text.
fn contract(module: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/deps");
    fs::read_to_string(root.join(module).join(module).with_extension("wit")).unwrap()
}
