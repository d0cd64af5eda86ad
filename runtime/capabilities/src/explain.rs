//! What grants amount to, said without running anybody.
//!
//! Each capability answers in its own folder, by the very function that decides
//! when a guest asks: an answer here that differed from what happens would be
//! worse than none. This module says what can be asked, and finds whom to ask.

use serde::Serialize;
use stheno_config::{Grants, SocketGrant, StoreLabel};

use crate::{folders, http, objects, redis, sockets, sql, store};

/// Something that a provider may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Power {
    /// The capability, as `grants` has it.
    pub capability: &'static str,
    /// What it may do, and how much of it.
    pub may: String,
}

/// Something that a provider might want to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// To send a request.
    Http {
        /// Such as `POST`.
        method: String,
        /// An absolute URL.
        url: String,
    },
    /// To send a command.
    Redis {
        /// The binding's label.
        label: String,
        /// The command and its arguments.
        command: Vec<Vec<u8>>,
    },
    /// To read, store or remove an object, or to make a link to it.
    Object {
        /// The binding's label.
        label: String,
        /// The key, as the provider has it.
        key: String,
        /// To store one that anybody can read.
        public: bool,
    },
    /// To open a file.
    File {
        /// Where the provider sees it.
        path: String,
        /// To change it, make it or remove it.
        write: bool,
    },
    /// To connect.
    Socket(SocketGrant),
    /// To make a statement.
    Sql {
        /// The binding's label.
        label: String,
        /// Its text.
        statement: String,
    },
    /// To open a store.
    Store {
        /// Its label.
        label: String,
    },
}

/// What would become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruling {
    /// Whether it would be done.
    pub allowed: bool,
    /// What decides, and the line of config that would change it if one could.
    pub why: String,
}

impl Ruling {
    pub(crate) fn allowed(why: impl Into<String>) -> Self {
        Self { allowed: true, why: why.into() }
    }

    pub(crate) fn denied(why: impl Into<String>) -> Self {
        Self { allowed: false, why: why.into() }
    }
}

/// All that was granted, in the order of the capabilities.
#[must_use]
pub fn powers(grants: &Grants) -> Vec<Power> {
    let said =
        |capability, may: Vec<String>| may.into_iter().map(move |may| Power { capability, may });
    said("folders", folders::powers(grants))
        .chain(said("http", http::powers(grants)))
        .chain(said("objects", objects::powers(grants)))
        .chain(said("redis", redis::powers(grants)))
        .chain(said("sockets", sockets::powers(grants)))
        .chain(said("sql", sql::powers(grants)))
        .chain(said("store", store::powers(grants)))
        .collect()
}

/// Whether these grants allow it. Nothing is reached: what only the network can
/// tell, such as where a name leads, is said in the ruling.
#[must_use]
pub fn rule(grants: &Grants, question: &Question) -> Ruling {
    match question {
        Question::Http { method, url } => http::rule(grants, method, url),
        Question::Object { label, key, public } => objects::rule(grants, label, key, *public),
        Question::Redis { label, command } => redis::rule(grants, label, command),
        Question::File { path, write } => folders::rule(grants, path, *write),
        Question::Socket(to) => sockets::rule(grants, to),
        Question::Sql { label, statement } => sql::rule(grants, label, statement),
        Question::Store { label } => store::rule(grants, label),
    }
}

/// The denial of a binding that is not there. What a guest, or a person, made up
/// is shown in a line only if it could be written there.
pub(crate) fn no_binding(what: &str, label: &str, line: impl FnOnce(&str) -> String) -> String {
    match StoreLabel::new(label) {
        Ok(_) => format!(
            "no {what} {label:?} is granted; if the provider may have one, add this line below its \
             module: {}",
            line(label)
        ),
        Err(error) => format!("no such {what} can be granted: {error}"),
    }
}
