//! `stheno test`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use stheno::config::{Config, ModuleName, process_env};
use stheno_conformance::{Applies, Case, Options, Target, TargetError, cases, plan, run};
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;
use crate::logs::{self, LogFormat};
use crate::{component, output};

/// What is tested.
#[derive(Args)]
#[command(after_help = "Nothing that is granted in the config is cleaned up: give the provider a \
    folder, a store or a server that may be written to.\nExit codes: 0 all passed, 1 a failure, 2 \
    wrong arguments.")]
pub(crate) struct Test {
    /// A component, as `resolve` has it: ./my.wasm, or the name of a built-in provider
    #[arg(required_unless_present = "list")]
    file: Option<String>,
    /// The module to test it as, where it is a provider of several
    #[arg(long, value_parser = module)]
    module: Option<ModuleName>,
    /// Take the provider's options, grants and limits from this config
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run only the cases whose id begins so
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    only: String,
    /// Print the cases and what they check, and run none
    #[arg(long)]
    list: bool,
    /// Print JSON: {"module", "provider", "passed", "failed", "skipped", "cases": [...]}
    #[arg(long)]
    pub(crate) json: bool,
}

fn module(name: &str) -> Result<ModuleName, String> {
    ModuleName::from_key(name).ok_or_else(|| {
        let names: Vec<_> = ModuleName::ALL.iter().map(|module| module.as_str()).collect();
        format!("the modules are {}", names.join(", "))
    })
}

impl Test {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let target = match &self.file {
            Some(file) => Some(Arc::new(self.target(file).await?)),
            None => None,
        };
        let cases = match (&target, self.module) {
            (Some(target), _) => plan(target, &self.only),
            (None, Some(module)) => self.wanted(module),
            (None, None) => ModuleName::ALL.iter().flat_map(|&it| self.wanted(it)).collect(),
        };
        if cases.is_empty() {
            return Err(Failure::usage(
                format!("there is no case whose id begins with {:?}", self.only),
                "`stheno test --list` prints all ids",
            ));
        }
        match target {
            Some(target) if !self.list => self.test(&target).await,
            _ => self.print(&cases),
        }
    }

    fn wanted(&self, module: ModuleName) -> Vec<&'static Case> {
        let mut all = cases(module);
        all.retain(|case| case.id.starts_with(&self.only));
        all
    }

    async fn target(&self, file: &str) -> Result<Target, Failure> {
        // What providers log is wanted only by who asks for it with RUST_LOG.
        logs::start(LogFormat::Text, LevelFilter::OFF)?;
        let (resolve, source) = component::find(file).await?;
        let config = self.config.as_ref().map(|path| Config::load(path, &process_env));
        Ok(Target::find(resolve, source, self.module, config.transpose()?).await?)
    }

    async fn test(&self, target: &Arc<Target>) -> Result<(), Failure> {
        let options = Options { only: self.only.clone(), ..Options::default() };
        // Nobody reads it any more: the exit code still says how it ended.
        let mut unread = Ok(());
        if !self.json {
            let info = target.info();
            let features = match info.features.as_slice() {
                [] => "no optional features".to_owned(),
                features => features.join(", "),
            };
            let (module, name, version) = (target.module(), &info.name, &info.version);
            unread = output::line(&format!("{module} by {name} {version}: {features}"));
        }
        let watched = self.json && std::io::stderr().is_terminal();
        let report = run(target, &options, |case| {
            if watched {
                eprintln!("{case}");
            } else if !self.json && unread.is_ok() {
                unread = output::line(&case.to_string());
            }
        })
        .await;
        if self.json {
            unread = output::json(&report);
        } else if unread.is_ok() {
            unread = output::line(&report.summary());
        }
        if report.failed > 0 {
            return Err(Failure::Told);
        }
        Ok(unread?)
    }

    fn print(&self, cases: &[&Case]) -> Result<(), Failure> {
        if self.json {
            let listed: Vec<_> = cases.iter().map(|case| Listed::from(*case)).collect();
            return Ok(output::json(&listed)?);
        }
        for case in cases {
            output::line(&format!("{}{}\n    {}", case.id, needs(case.applies), case.guarantee))?;
        }
        Ok(())
    }
}

fn needs(applies: Applies) -> String {
    match applies {
        Applies::Always => String::new(),
        Applies::With(features) => format!(" (needs {})", features.join(" and ")),
        Applies::Without(feature) => format!(" (only without {feature})"),
        Applies::Seen => " (only with a folder granted by the config)".to_owned(),
    }
}

/// A case, for programs.
#[derive(Serialize)]
struct Listed {
    id: &'static str,
    guarantee: &'static str,
    /// Features that the provider must have.
    needs: &'static [&'static str],
}

impl From<&Case> for Listed {
    fn from(case: &Case) -> Self {
        let needs = match case.applies {
            Applies::With(features) => features,
            Applies::Always | Applies::Without(_) | Applies::Seen => &[],
        };
        Self { id: case.id, guarantee: case.guarantee, needs }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let message = error.to_string();
        match error {
            TargetError::Start(error) => Self::Config(error),
            TargetError::Load(error) => Self::other(message, error.help()),
            TargetError::Several(_) => Self::usage(message, "write --module and one of them"),
            TargetError::OtherModule { .. } => {
                Self::usage(message, "write another --module, or leave it out")
            }
            TargetError::NoModule(_) => Self::other(
                message,
                "build it for a world of wit/worlds.wit; `stheno inspect FILE` shows what it is",
            ),
            TargetError::Engine(_) => Self::other(
                message,
                "Stheno needs a 64-bit processor that wasmtime supports, and may make a thread",
            ),
            TargetError::Suite(_) => {
                Self::other(message, "each case has a temporary folder: look at TMPDIR")
            }
        }
    }
}
