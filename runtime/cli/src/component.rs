//! A component that an argument names.

use std::path::Path;

use stheno::config::Resolve;
use stheno_engine::Source;

use crate::failure::Failure;

/// Finds it as `resolve` does: a path, or the name of a built-in provider.
pub(crate) async fn find(name: &str) -> Result<(Resolve, Source), Failure> {
    let builtins = || {
        let names = stheno_builtins::names().join(", ");
        format!("give the path of a component, such as ./my.wasm, or one of: {names}")
    };
    let resolve = Resolve::parse(name, Path::new(""))
        .map_err(|error| Failure::other(format!("{name:?}: {error}"), builtins()))?;
    let bytes = match &resolve {
        Resolve::File(path) => tokio::fs::read(path).await.map(Into::into).map_err(|error| {
            Failure::other(format!("{name} cannot be read: {error}"), builtins())
        })?,
        Resolve::Builtin(builtin) => match stheno_builtins::find(builtin.as_str()) {
            Some(bytes) => bytes.into(),
            None => {
                let text = format!("there is no built-in provider {name:?}");
                return Err(Failure::other(text, builtins()));
            }
        },
    };
    Ok((resolve, Source { name: name.to_owned(), bytes }))
}
