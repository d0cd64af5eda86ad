//! Whether a server would keep a provider within its prefix by itself.
//!
//! Found out by trying, as the very user of the grant, what such a user could not
//! do: to ask whether a key beyond the prefix exists, and to count all keys. Both
//! change nothing. Asking for the user's rules would need rights that a user who is
//! kept within bounds has not.

use std::time::Duration;

use redis::cmd;
use stheno_config::RedisGrant;

use super::link::Link;

/// The longest that the server is waited for.
const WITHIN: Duration = Duration::from_secs(2);

/// What a server does about a user who would leave the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSide {
    /// It refuses.
    Refuses,
    /// It lets the user; the text says what, in words that go on after "it lets the
    /// user of the grant".
    Lets(&'static str),
    /// It could not be asked; the text says why.
    Unknown(String),
}

/// Asks the server of a grant, as its user, within two seconds.
pub async fn server_side(grant: &RedisGrant) -> ServerSide {
    match tokio::time::timeout(WITHIN, ask(grant)).await {
        Ok(found) => found,
        Err(_) => ServerSide::Unknown(format!("{} did not answer", grant.url)),
    }
}

async fn ask(grant: &RedisGrant) -> ServerSide {
    let live = match Link::new(grant).shared().await {
        Ok(live) => live,
        Err(error) => return ServerSide::Unknown(error.message().to_owned()),
    };
    // Neither begins with the other's letter, so one of them is beyond the prefix.
    let beyond = if grant.prefix.as_str().starts_with('s') { "other" } else { "stheno" };
    let probes = [
        (cmd("EXISTS").arg(beyond).to_owned(), "read keys beyond the prefix"),
        (cmd("DBSIZE"), "send commands that reach all keys"),
    ];
    for (probe, lets) in probes {
        let answer: Result<u64, _> = probe.query_async(&mut live.connection.clone()).await;
        match answer {
            Ok(_) => return ServerSide::Lets(lets),
            Err(error) if error.code() == Some("NOPERM") => {}
            Err(error) => {
                return ServerSide::Unknown(format!(
                    "{}: {}",
                    grant.url,
                    crate::one_line(&error.to_string())
                ));
            }
        }
    }
    ServerSide::Refuses
}
