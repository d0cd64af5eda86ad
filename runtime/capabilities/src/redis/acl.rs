//! The rule that makes a server enforce the same bounds.
//!
//! The host keeps a provider within its prefix by itself. A second line of
//! defence costs nothing: log in as a user who could not leave it either. The
//! rule is made of the same list of commands, so that it allows what the host
//! sends and nothing else.

use stheno_config::RedisGrant;

use super::commands;

/// What the host itself sends, beside the commands of guests.
const OF_THE_HOST: &[&str] =
    &["hello", "multi", "exec", "discard", "watch", "unwatch", "script|load"];

/// The line for `redis-cli` that makes a user of this binding's prefix and
/// commands, and no others. It has a placeholder where the password goes.
#[must_use]
pub fn acl_line(grant: &RedisGrant) -> String {
    let user = grant.url.user().filter(|user| *user != "default").unwrap_or("stheno");
    let mut line =
        format!("ACL SETUSER {user} reset on >PASSWORD ~{}* resetchannels -@all", grant.prefix);
    let names = commands::all().map(|spec| spec.name.to_ascii_lowercase().replace(' ', "|"));
    let own = OF_THE_HOST.iter().map(|name| (*name).to_owned());
    let database = (grant.url.database() != 0).then(|| "select".to_owned());
    let mut names: Vec<String> = names.chain(own).chain(database).collect();
    names.sort();
    for name in names {
        line.push_str(" +");
        line.push_str(&name);
    }
    line
}
