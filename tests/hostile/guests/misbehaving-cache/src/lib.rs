//! A cache provider that misbehaves as it is told to, and serves keys that
//! begin with `k:` as a plain small cache without times to live. The key of a
//! `get` says what to do:
//!
//! | key | what happens |
//! |---|---|
//! | `echo:TEXT` | answers TEXT |
//! | `count` | how many `get` keys this instance has served, this one included |
//! | `now` | the host's monotonic clock |
//! | `error:KIND:TEXT` | that error, such as `error:unavailable:come back later` |
//! | `panic` | traps |
//! | `exit` | ends the instance by `wasi:cli/exit` |
//! | `loop` | computes for ever |
//! | `stack` | calls itself for ever |
//! | `sleep` | asks the clock for ever |
//! | `sleep:MS` | asks the clock until so much of the host's time has passed |
//! | `block:MS` | blocks in WASI for so long |
//! | `alloc:SIZE` | fills that much memory and gives it back |
//! | `grow:SIZE` | fills that much memory and keeps it |
//! | `huge-result:SIZE` | answers that many bytes |
//! | `log:COUNT` | writes so many lines |
//! | `print:COUNT` | prints so many lines on standard output |
//! | `forget:COUNT` | makes so many spools and forgets the handles |
//! | `table` | makes spools until one is refused; answers how many and why |
//! | `spool:SIZE` | fills a spool and reads it back; answers how many bytes came |
//! | `hold` | keeps the reader of a finished spool for a later call |
//! | `use-held` | reads from it; answers the bytes, or the error's text |
//!
//! SIZE is bytes, or such as `512MiB`. An unknown key is a miss. Tags and
//! patterns are `unsupported`.
//!
//! Built twice: with the feature `one` it describes itself as one instance.
//! (`describe` comes before the options, so an option could not choose.)

#![allow(clippy::panic, reason = "that is what it is for")]

mod misdeeds;
mod options;

use std::collections::HashMap;

use misdeeds::Misdeeds;
use options::{Does, Options};
use stheno_sdk::cache::{Cache, Entry, Hit};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result, clock};

/// When the host's manual clock begins, in hours since 1970.
const MANUAL_CLOCK_HOUR: u64 = 946_684_800 / 3_600;

struct Misbehaving {
    options: Options,
    entries: HashMap<String, Vec<u8>>,
    misdeeds: Misdeeds,
}

fn obey(what: Does) -> Result<()> {
    match what {
        Does::Ok => Ok(()),
        Does::Fail => Err(Error::Unavailable("told to fail".to_owned())),
        Does::Panic => panic!("told to panic"),
        Does::Loop => misdeeds::spin(),
        Does::PanicInTheSecondHour => match clock::unix_ms() / 3_600_000 - MANUAL_CLOCK_HOUR {
            1 => panic!("it is the second hour"),
            _ => Ok(()),
        },
    }
}

impl Lifecycle for Misbehaving {
    fn describe() -> Description {
        let instances = if cfg!(feature = "one") { Instances::One } else { Instances::Many };
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), instances, &[])
    }

    fn start(options: &str) -> Result<Self> {
        let options: Options = stheno_sdk::options::parse(options)?;
        obey(options.start)?;
        Ok(Self { options, entries: HashMap::new(), misdeeds: Misdeeds::default() })
    }

    fn health(&mut self) -> Result<()> {
        obey(self.options.health)
    }

    fn stop(&mut self) -> Result<()> {
        obey(self.options.stop)
    }
}

impl Cache for Misbehaving {
    fn get(&mut self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter()
            .map(|key| {
                self.misdeeds.served += 1;
                if key.starts_with("k:") {
                    Ok(self.entries.get(key).cloned())
                } else {
                    self.misdeeds.commit(key)
                }
            })
            .collect()
    }

    fn set(&mut self, entries: Vec<Entry>) -> Result<()> {
        self.entries.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
        Ok(())
    }

    fn delete(&mut self, keys: Vec<String>) -> Result<()> {
        self.entries.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    fn get_by_tags(&mut self, _: Vec<String>) -> Result<Vec<Hit>> {
        Err(Error::Unsupported("misbehaving-cache has no tags".to_owned()))
    }

    fn clear_tags(&mut self, _: Vec<String>) -> Result<()> {
        Err(Error::Unsupported("misbehaving-cache has no tags".to_owned()))
    }

    fn clear_matching(&mut self, _: String) -> Result<()> {
        Err(Error::Unsupported("misbehaving-cache has no patterns".to_owned()))
    }
}

stheno_sdk::export_cache_provider!(Misbehaving);
