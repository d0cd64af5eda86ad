//! `stheno inspect`.

use clap::Args;
use stheno_engine::{Engine, Inspection};

use crate::failure::Failure;
use crate::{component, output};

/// What is inspected.
#[derive(Args)]
pub(crate) struct Inspect {
    /// A component, as `resolve` has it: ./my.wasm, or the name of a built-in provider
    file: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Inspect {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (_, source) = component::find(&self.file).await?;
        let engine = Engine::new(None).map_err(|error| {
            Failure::other(
                format!("the WebAssembly engine does not start: {error:#}"),
                "Stheno needs a 64-bit processor that wasmtime supports, and may make a thread",
            )
        })?;
        let inspection = engine
            .inspect(source)
            .await
            .map_err(|error| Failure::other(error.to_string(), error.help()))?;
        if self.json {
            output::json(&inspection)?;
        } else {
            output::bytes(shown(&inspection).as_bytes())?;
        }
        Ok(())
    }
}

fn shown(inspection: &Inspection) -> String {
    let Inspection {
        file,
        bytes,
        sha256,
        modules,
        provider,
        exports,
        imports,
        grants_needed,
        grants_optional,
    } = inspection;
    let mut lines = vec![
        format!("file      {file}"),
        format!("size      {bytes} bytes"),
        format!("sha256    {sha256}"),
        match provider {
            Some(info) => format!(
                "provider  {} {}, {} instance{}, features: {}",
                info.name,
                info.version,
                info.instances,
                if info.instances == "one" { "" } else { "s" },
                listed(&info.features),
            ),
            None => "provider  it does not describe itself".to_owned(),
        },
        format!("modules   {}", listed(modules)),
    ];
    lines.push("exports".to_owned());
    lines.extend(exports.iter().map(|export| format!("  {export}")));
    lines.push("imports".to_owned());
    lines.extend(imports.iter().map(|import| {
        let served = match import.capability {
            Some(capability) if import.grant.is_some() => format!("{capability}, to be granted"),
            Some(capability) if import.optional_grant.is_some() => {
                format!("{capability}, if granted")
            }
            Some(capability) => capability.to_owned(),
            None => "this version of Stheno does not have it".to_owned(),
        };
        format!("  {}  ({served})", import.name)
    }));
    if grants_needed.is_empty() {
        lines.push("grants    none needed".to_owned());
    } else {
        lines.push("grants    needed, below [modules.NAME], with values of your own:".to_owned());
        lines.extend(grants_needed.iter().map(|line| format!("  {line}")));
    }
    if !grants_optional.is_empty() {
        lines.push("grants    of use but not needed, below [modules.NAME]:".to_owned());
        lines.extend(grants_optional.iter().map(|line| format!("  {line}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn listed(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}
