//! `stheno explain`.
//!
//! Nothing is started and nothing is reached: the answers come from the config,
//! by the functions that decide when a provider asks.

use clap::{Args, Subcommand};
use serde_json::json;
use stheno::config::{
    Config, Grants, Limits, ModuleName, ProviderConfig, SocketGrant, format_duration,
};
use stheno::granted;
use stheno_engine::{Question, powers, rule};

use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::output;

/// What is explained.
#[derive(Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// One provider: a module, or MODULE.ID where it has several
    provider: Option<String>,
    /// What it might want to do; exits with 0 if it may, with 1 if not
    #[command(subcommand)]
    asked: Option<Asked>,
}

#[derive(Subcommand)]
enum Asked {
    /// Send a request, such as: http POST https://api.example.com/v1/mail
    Http { method: String, url: String },
    /// Send a command, such as: redis "GET key"
    Redis {
        /// Through which binding
        #[arg(long, default_value = "default")]
        label: String,
        /// The command; one argument is split at its spaces
        #[arg(required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Read, store or remove an object, or make a link to it, such as: object a/1.pdf
    Object {
        /// Through which binding
        #[arg(long, default_value = "default")]
        label: String,
        /// Store it so that anybody can read it
        #[arg(long)]
        public: bool,
        key: String,
    },
    /// Read the file that the provider sees here
    Read { path: String },
    /// Make, change or remove the file that the provider sees here
    Write { path: String },
    /// Connect, such as: connect 127.0.0.1:11211
    Connect {
        #[arg(value_name = "HOST:PORT", value_parser = SocketGrant::parse)]
        to: SocketGrant,
    },
    /// Make a statement, such as: sql "SELECT a FROM b WHERE c = $1"
    Sql {
        /// Through which binding
        #[arg(long, default_value = "default")]
        label: String,
        statement: String,
    },
    /// Open a store
    Store {
        #[arg(default_value = "default")]
        label: String,
    },
}

impl Asked {
    fn question(self) -> Question {
        match self {
            Self::Http { method, url } => Question::Http { method, url },
            Self::Redis { label, command } => {
                let command: Vec<&str> = match &command[..] {
                    [all] => all.split_ascii_whitespace().collect(),
                    words => words.iter().map(String::as_str).collect(),
                };
                let command = command.into_iter().map(|word| word.as_bytes().to_vec()).collect();
                Question::Redis { label, command }
            }
            Self::Object { label, public, key } => Question::Object { label, key, public },
            Self::Read { path } => Question::File { path, write: false },
            Self::Write { path } => Question::File { path, write: true },
            Self::Connect { to } => Question::Socket(to),
            Self::Sql { label, statement } => Question::Sql { label, statement },
            Self::Store { label } => Question::Store { label },
        }
    }
}

/// A provider of the config.
struct Named<'c> {
    name: String,
    config: &'c ProviderConfig,
    grants: Grants,
}

impl Explain {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?;
        let mut named = named(&config);
        if let Some(asked) = &self.provider {
            let names: Vec<String> = named.iter().map(|named| named.name.clone()).collect();
            named.retain(|named| named.name == *asked);
            if named.is_empty() {
                return Err(Failure::usage(
                    format!("the config has no provider {asked:?}"),
                    format!("it has {}", names.join(", ")),
                ));
            }
        }
        match (self.asked, &named[..]) {
            (Some(asked), [one]) => answer(one, &asked.question(), self.json),
            (Some(_), _) => Err(Failure::usage(
                "a question is about one provider",
                "write whose: stheno explain cache http GET https://example.com/",
            )),
            (None, _) if self.json => Ok(output::json(&all_as_json(&named))?),
            (None, _) => {
                for one in &named {
                    for line in in_words(one) {
                        output::line(&line)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// All providers, each by its module, or by that and its id where the module has
/// several.
fn named(config: &Config) -> Vec<Named<'_>> {
    let mut all = Vec::new();
    for module in ModuleName::ALL {
        let ids = config.modules.ids(*module);
        for (position, (_, config)) in config.modules.all(*module).into_iter().enumerate() {
            let name = match ids.get(position) {
                Some(id) => format!("{module}.{id}"),
                None => module.to_string(),
            };
            all.push(Named { name, config, grants: granted(config) });
        }
    }
    all
}

fn answer(named: &Named<'_>, question: &Question, json: bool) -> Result<(), Failure> {
    let ruling = rule(&named.grants, question);
    if json {
        output::json(&json!({
            "provider": named.name,
            "allowed": ruling.allowed,
            "why": ruling.why,
        }))?;
    } else {
        let word = if ruling.allowed { "allowed" } else { "denied" };
        output::line(&format!("{word}: {}", ruling.why))?;
    }
    if ruling.allowed { Ok(()) } else { Err(Failure::Told) }
}

fn in_words(named: &Named<'_>) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", named.name, named.config.resolve)];
    let powers = powers(&named.grants);
    if powers.is_empty() {
        lines.push("  may reach nothing".to_owned());
    }
    lines.extend(powers.iter().map(|power| format!("  may {}", power.may)));
    lines.push(format!("  has {}", within(&named.config.limits)));
    lines
}

fn within(limits: &Limits) -> String {
    format!(
        "up to {} instances of {}, {} of CPU and {} of time for a call, {} at the host, {} lines of \
         log a second",
        limits.instances.get(),
        limits.memory.get(),
        format_duration(limits.cpu.get()),
        format_duration(limits.timeout.get()),
        limits.host_bytes.get(),
        limits.log_lines_per_second.get(),
    )
}

fn all_as_json(named: &[Named<'_>]) -> serde_json::Value {
    let providers: Vec<_> = named
        .iter()
        .map(|named| {
            json!({
                "provider": named.name,
                "resolve": named.config.resolve.to_string(),
                "may": powers(&named.grants),
                "limits": within(&named.config.limits),
            })
        })
        .collect();
    json!({ "providers": providers })
}
