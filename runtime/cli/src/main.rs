//! The `stheno` command.
//!
//! `up` serves; `check`, `explain`, `inspect` and `test` answer questions without serving; `call`
//! is a client of a running `up`, so that a shell script needs no other. What
//! the runtime or the server can do is not decided here: this crate reads
//! arguments, prints, and turns every end into an exit code.
//!
//! Exit codes: 0 for success, 1 for failure (a miss is one), 2 for arguments
//! that cannot be understood. What was asked for goes to stdout, everything else
//! to stderr.

mod acl;
mod call;
mod check;
mod component;
mod config;
mod explain;
mod failure;
mod inspect;
mod logs;
mod output;
mod test;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Serve infrastructure modules from sandboxed providers
///
/// Which component serves which module stands in stheno.toml; without one every
/// module runs on its local provider.
#[derive(Parser)]
#[command(name = "stheno", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the providers and serve the HTTP API until a signal comes
    Up(up::Up),
    /// Check the config and start each provider in an empty sandbox, without serving
    Check(check::Check),
    /// Say what each provider may do, or whether one may do a certain thing
    Explain(explain::Explain),
    /// Print what makes each granted Redis and PostgreSQL enforce the grant itself
    Acl(acl::Acl),
    /// Show what a component exports, imports and would need granted
    Inspect(inspect::Inspect),
    /// Hold a provider against what its module promises
    Test(test::Test),
    /// Call a module of a running `stheno up`
    Call(Box<call::Call>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = match &cli.command {
        Command::Up(_) | Command::Acl(_) => false,
        Command::Check(check) => check.json,
        Command::Explain(explain) => explain.json,
        Command::Inspect(inspect) => inspect.json,
        Command::Test(test) => test.json,
        Command::Call(call) => call.json,
    };
    let result = match cli.command {
        Command::Up(up) => up.run().await,
        Command::Check(check) => check.run().await,
        Command::Acl(acl) => acl.run(),
        Command::Explain(explain) => explain.run(),
        Command::Inspect(inspect) => inspect.run().await,
        Command::Test(test) => test.run().await,
        Command::Call(call) => call.run().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Cli::command().debug_assert();
    }
}
