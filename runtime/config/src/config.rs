//! The whole config: reading it, and pointing at its lines afterwards.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::decode::Decoder;
use crate::error::Fault;
use crate::interpolate::Env;
use crate::mask::masked;
use crate::source::{Origin, Source};
use crate::suggest;
use crate::{ConfigError, Modules, Place, Resolve, RuntimeConfig, ServerConfig};

const KEYS: &[&str] = &["server", "runtime", "modules"];

/// A checked config. The default has every module on its local provider.
#[derive(Clone, Default)]
pub struct Config {
    /// `[server]`.
    pub server: ServerConfig,
    /// `[runtime]`.
    pub runtime: RuntimeConfig,
    /// `[modules]`.
    pub modules: Modules,
    path: Option<PathBuf>,
    origin: Option<Arc<Origin>>,
}

impl Config {
    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or [`Self::parse`] fails.
    pub fn load(path: impl AsRef<Path>, env: &Env<'_>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| {
            ConfigError::without_text(
                &name,
                None,
                format!("the config cannot be read: {error}"),
                "check the path; `stheno up` without `--config` runs every module on its local provider".to_owned(),
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
            ConfigError::without_text(
                &name,
                Some(Source::new(&name, before.into_owned()).position(valid)),
                "the config is not UTF-8 text".to_owned(),
                "save the file as UTF-8".to_owned(),
            )
        })?;
        // Absolute, so that a later change of the working directory moves
        // nothing. It fails only where there is no working directory.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let base = absolute.parent().unwrap_or(Path::new(""));
        let config = Self::parse(&text, &name, base, env)?;
        Ok(Self { path: Some(absolute), ..config })
    }

    /// Reads a text. `name` stands for the file in errors; paths in the text
    /// are relative to `base`; `env` gives the variables.
    ///
    /// # Errors
    ///
    /// Every mistake that can be told from the others, in one error. If the
    /// text is not TOML, its other mistakes are not looked for.
    pub fn parse(text: &str, name: &str, base: &Path, env: &Env<'_>) -> Result<Self, ConfigError> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let source = Source::new(name, masked(text, tree.get_ref(), !errors.is_empty()));
        if let Some(error) = ConfigError::from_faults(syntax_faults(errors, &source), Some(&source))
        {
            return Err(error);
        }

        let mut decoder = Decoder::new(env, base);
        let root = decoder.root(tree.get_ref(), KEYS);
        let mut config = Self::default();
        if let Some(node) = root.get("server") {
            config.server = ServerConfig::decode(&mut decoder, &node);
        }
        if let Some(node) = root.get("runtime") {
            config.runtime = RuntimeConfig::decode(&mut decoder, &node);
        }
        if let Some(node) = root.get("modules") {
            config.modules = Modules::decode(&mut decoder, &node);
        }
        let Decoder { faults, spans, .. } = decoder;
        match ConfigError::from_faults(faults, Some(&source)) {
            Some(error) => Err(error),
            None => Ok(Self { origin: Some(Arc::new(Origin { source, spans })), ..config }),
        }
    }

    /// The file that the config was loaded from, as an absolute path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// An error at `place`, for what only a later stage can find: a file that
    /// is no component, a missing grant, options that a provider refuses.
    ///
    /// It points at the line of `place`, or of its nearest parent that is
    /// written; a config built in code has no lines.
    pub fn diagnose(
        &self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> ConfigError {
        let origin = self.origin.as_deref();
        let span = origin.and_then(|origin| origin.find(&place));
        ConfigError::one(
            Fault { place, span, message: message.into(), help: help.into() },
            origin.map(|origin| &origin.source),
        )
    }

    /// Checks that every built-in provider that the config names is one of
    /// `builtins`. Apart from [`Self::parse`], because which there are is
    /// decided where the runtime is built, and not here.
    ///
    /// # Errors
    ///
    /// Each name that is not, with the list of those that are.
    pub fn check_builtins(&self, builtins: &[&str]) -> Result<(), ConfigError> {
        self.modules
            .placed()
            .filter_map(|(place, provider)| match &provider.resolve {
                Resolve::Builtin(name) if !builtins.contains(&name.as_str()) => {
                    Some(self.unknown_builtin(place.key("resolve"), name.as_str(), builtins))
                }
                _ => None,
            })
            .reduce(ConfigError::and)
            .map_or(Ok(()), Err)
    }

    fn unknown_builtin(&self, place: Place, name: &str, builtins: &[&str]) -> ConfigError {
        const WHAT: &str = "the built-in providers are";
        let written = self.origin.as_deref().and_then(|origin| origin.written(&place));
        let (message, help) = match written.filter(|written| written.contains("${")) {
            // The name came out of a variable, and stays there.
            Some(written) => (
                format!("{written} does not give the name of a built-in provider"),
                format!("{WHAT}: {}", suggest::listed(builtins)),
            ),
            None => (
                format!("there is no built-in provider `{name}`"),
                suggest::help(name, builtins, WHAT),
            ),
        };
        self.diagnose(
            place,
            message,
            format!("{help}; for a file write its path, as in \"./provider.wasm\""),
        )
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, runtime, modules, path, origin: _ } = self;
        f.debug_struct("Config")
            .field("server", server)
            .field("runtime", runtime)
            .field("modules", modules)
            .field("path", path)
            .finish()
    }
}

/// The parser's errors, one a line: what follows on the same line is mostly
/// the echo of the first.
fn syntax_faults(mut errors: Vec<toml::de::Error>, source: &Source) -> Vec<Fault> {
    let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    errors.sort_by_key(start);
    errors.dedup_by_key(|error| source.position(start(error)).line);
    errors
        .into_iter()
        .map(|error| Fault {
            place: Place::root(),
            span: Some(error.span().unwrap_or(0..0)),
            help: syntax_help(error.message()).to_owned(),
            message: format!("this is not TOML: {}", error.message()),
        })
        .collect()
}

fn syntax_help(message: &str) -> &'static str {
    // What text without quotes is mistaken for.
    const VALUES: &[&str] = &["boolean", "integer", "float", "date", "time"];
    if message.starts_with("duplicate key") {
        "remove one of the two, or merge their tables"
    } else if message.starts_with("unclosed") {
        "write the closing bracket"
    } else if message.contains("string")
        || message
            .strip_prefix("invalid ")
            .is_some_and(|what| VALUES.iter().any(|kind| what.starts_with(kind)))
    {
        "write text in double quotes, as in key = \"value\""
    } else {
        "write key = value, one a line, below a [table] line; text goes in double quotes"
    }
}
