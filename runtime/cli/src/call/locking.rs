//! Functions of the locks.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Answer, Client};
use crate::failure::Failure;
use crate::output;

#[derive(Subcommand)]
pub(super) enum Function {
    /// Lock all of the keys or none, and print the lease's token and fence
    #[command(name = "locking.acquire")]
    Acquire {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        /// Who asks; the same owner may acquire its keys again
        #[arg(long)]
        owner: Option<String>,
        /// How long the lease lives, or never, which does not expire
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        ttl: String,
        /// How long to wait if a key is taken, at most 5m
        #[arg(long, default_value = "0s", value_name = "DURATION")]
        wait: String,
    },
    /// Renew a lease; exit code 1 if it was lost
    #[command(name = "locking.extend")]
    Extend {
        /// What acquire printed first
        token: String,
        /// From now, or never, which does not expire
        #[arg(long, default_value = "30s", value_name = "DURATION")]
        ttl: String,
    },
    /// End a lease; exit code 1 if it was lost
    #[command(name = "locking.release")]
    Release {
        /// What acquire printed first
        token: String,
    },
    /// Free those of the keys that an owner holds, and print how many
    #[command(name = "locking.release-keys")]
    ReleaseKeys {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
        /// Whose [default: those that were acquired without an owner]
        #[arg(long)]
        owner: Option<String>,
    },
    /// Free all keys that an owner holds, and print how many
    #[command(name = "locking.release-all")]
    ReleaseAll {
        /// Whose [default: those that were acquired without an owner]
        #[arg(long)]
        owner: Option<String>,
    },
    /// Print who has these keys, as JSON lines; none for one that is free
    #[command(name = "locking.inspect")]
    Inspect {
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
    /// Print the keys that are held, as JSON lines
    #[command(name = "locking.list")]
    List {
        /// Only what this owner holds
        #[arg(long)]
        owner: Option<String>,
        /// Go on after an earlier page
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        max: u32,
    },
}

#[derive(Deserialize)]
struct Lease {
    token: String,
    fence: u64,
}

#[derive(Deserialize)]
struct Released {
    released: bool,
}

#[derive(Deserialize)]
struct Freed {
    keys: u64,
}

#[derive(Deserialize)]
struct Locks {
    locks: Vec<Box<RawValue>>,
}

/// A time to live as the API takes it.
fn ttl(text: &str) -> Option<&str> {
    (text != "never").then_some(text)
}

impl Function {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Acquire { keys, owner, ttl: lives, wait } => {
                let mut body = json!({"keys": keys, "ttl": ttl(&lives), "wait": wait});
                set_owner(&mut body, owner);
                let answer = client.post("/v1/locking/acquire", &body).await?;
                if json {
                    return answer.print();
                }
                let Lease { token, fence } = answer.read()?;
                output::line(&format!("{token}\t{fence}"))?;
                Ok(())
            }
            Self::Extend { token, ttl: lives } => {
                let body = json!({"token": token, "ttl": ttl(&lives)});
                client.post("/v1/locking/extend", &body).await?.print()
            }
            Self::Release { token } => {
                let answer = client.post("/v1/locking/release", &json!({"token": token})).await?;
                if json {
                    answer.print()?;
                }
                match answer.read()? {
                    Released { released: true } => Ok(()),
                    Released { released: false } if json => Err(Failure::Told),
                    Released { released: false } => Err(Failure::Answer {
                        kind: "lost-lease".into(),
                        message: "the lease had been lost; somebody else may have had its keys"
                            .into(),
                    }),
                }
            }
            Self::ReleaseKeys { keys, owner } => {
                let mut body = json!({"keys": keys});
                set_owner(&mut body, owner);
                freed(&client.post("/v1/locking/release-keys", &body).await?, json)
            }
            Self::ReleaseAll { owner } => {
                let body = json!({"owner": owner});
                freed(&client.post("/v1/locking/release-all", &body).await?, json)
            }
            Self::Inspect { keys } => {
                let body = json!({"keys": keys});
                locks(&client.post("/v1/locking/inspect", &body).await?, json)
            }
            Self::List { owner, after, max } => {
                let max = max.to_string();
                let mut query = vec![("max", max.as_str())];
                query.extend(owner.as_deref().map(|owner| ("owner", owner)));
                query.extend(after.as_deref().map(|after| ("after", after)));
                locks(&client.get("/v1/locking/locks", &query).await?, json)
            }
        }
    }
}

fn set_owner(body: &mut serde_json::Value, owner: Option<String>) {
    if let (Some(body), Some(owner)) = (body.as_object_mut(), owner) {
        body.insert("owner".into(), owner.into());
    }
}

fn freed(answer: &Answer, json: bool) -> Result<(), Failure> {
    if json {
        return answer.print();
    }
    output::line(&answer.read::<Freed>()?.keys.to_string())?;
    Ok(())
}

fn locks(answer: &Answer, json: bool) -> Result<(), Failure> {
    if json {
        return answer.print();
    }
    for lock in answer.read::<Locks>()?.locks {
        output::line(lock.get())?;
    }
    Ok(())
}
