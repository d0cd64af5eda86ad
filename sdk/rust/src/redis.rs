//! Redis within a granted prefix (`grants.redis.LABEL`); see the contract,
//! `wit/deps/redis/redis.wit`.
//!
//! A component that calls [`open`] is not loaded without a grant.

use std::borrow::Cow;

use crate::bindings::redis::stheno::redis::redis as raw;
use crate::provider::{Error, Result};

pub use raw::{Binding, Condition, Part};

/// Opens a binding. Reaches no server.
///
/// # Errors
///
/// `denied` if the label was not granted.
pub fn open(label: &str) -> Result<Binding> {
    raw::open(label)
}

/// A command under construction: its name, then its arguments.
///
/// ```no_run
/// use stheno_sdk::redis::{self, command};
///
/// # fn example() -> stheno_sdk::Result<()> {
/// let redis = redis::open("default")?;
/// redis.run(command("SET").text("greeting").text("hello").text("PX").number(30_000))?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<Vec<u8>>);

/// A command without arguments yet.
#[must_use]
pub fn command(name: &str) -> Command {
    Command(vec![name.as_bytes().to_vec()])
}

impl Command {
    /// Adds an argument; one that is owned is not copied.
    #[must_use]
    pub fn arg<'a>(mut self, argument: impl Into<Cow<'a, [u8]>>) -> Self {
        self.push(argument);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, argument: &str) -> Self {
        self.arg(argument.as_bytes())
    }

    /// Adds a number.
    #[must_use]
    pub fn number(self, argument: u64) -> Self {
        self.arg(argument.to_string().into_bytes())
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<'a, A: Into<Cow<'a, [u8]>>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        arguments.into_iter().for_each(|argument| self.push(argument));
        self
    }

    /// Adds an argument in place.
    pub fn push<'a>(&mut self, argument: impl Into<Cow<'a, [u8]>>) {
        self.0.push(argument.into().into_owned());
    }
}

/// What a command came to, read from its beginning.
///
/// Each function takes the next part, and whoever asks for another kind than is
/// there gets `internal`: the server is not what the provider takes it for.
#[derive(Debug)]
pub struct Reply(std::vec::IntoIter<Part>);

impl Reply {
    fn next(&mut self) -> Result<Part> {
        match self.0.next() {
            Some(Part::Failed(error)) => Err(error),
            Some(part) => Ok(part),
            None => Err(unexpected("nothing")),
        }
    }

    /// Bytes, or none.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn bytes(&mut self) -> Result<Option<Vec<u8>>> {
        match self.next()? {
            Part::Nil => Ok(None),
            Part::Bytes(bytes) => Ok(Some(bytes)),
            Part::Status(text) => Ok(Some(text.into_bytes())),
            _ => Err(unexpected("no bytes")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn int(&mut self) -> Result<i64> {
        match self.next()? {
            Part::Int(number) => Ok(number),
            _ => Err(unexpected("no number")),
        }
    }

    /// How many replies follow; 0 for nil.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn items(&mut self) -> Result<usize> {
        match self.next()? {
            Part::Items(count) => Ok(count as usize),
            Part::Nil => Ok(0),
            _ => Err(unexpected("no list")),
        }
    }

    /// A list of bytes.
    ///
    /// # Errors
    ///
    /// `internal` if something else is there.
    pub fn list(&mut self) -> Result<Vec<Option<Vec<u8>>>> {
        (0..self.items()?).map(|_| self.bytes()).collect()
    }

    /// The parts that are left.
    #[must_use]
    pub fn parts(self) -> Vec<Part> {
        self.0.collect()
    }
}

fn unexpected(what: &str) -> Error {
    Error::Internal(format!("Redis answered with {what} where something else was expected"))
}

/// What the commands of one call came to, each by itself.
pub type Replies = std::vec::IntoIter<Result<Reply>>;

fn replies(answers: Vec<Result<Vec<Part>>>) -> Replies {
    let replies: Vec<_> =
        answers.into_iter().map(|answer| answer.map(|parts| Reply(parts.into_iter()))).collect();
    replies.into_iter()
}

fn raw_commands(commands: Vec<Command>) -> Vec<Vec<Vec<u8>>> {
    commands.into_iter().map(|Command(arguments)| arguments).collect()
}

impl Binding {
    /// Makes one command.
    ///
    /// # Errors
    ///
    /// As the contract's `call`.
    pub fn run(&self, Command(arguments): Command) -> Result<Reply> {
        self.call(&arguments).map(|parts| Reply(parts.into_iter()))
    }

    /// Makes several commands in one round trip.
    ///
    /// # Errors
    ///
    /// As the contract's `pipeline`.
    pub fn run_all(&self, commands: Vec<Command>) -> Result<Replies> {
        self.pipeline(&raw_commands(commands)).map(replies)
    }

    /// Makes several commands as one, if the conditions hold.
    ///
    /// # Errors
    ///
    /// As the contract's `transaction`.
    pub fn run_as_one(&self, conditions: &[Condition], commands: Vec<Command>) -> Result<Replies> {
        self.transaction(conditions, &raw_commands(commands)).map(replies)
    }
}
