//! A cache provider that does with a store what it should not. It cannot do
//! without one. The key of a `get` says what:
//!
//! | key | answer |
//! |---|---|
//! | `open:LABEL` | `opened` |
//! | `put:KEY=SIZE` | `put`, after storing SIZE bytes under KEY |
//! | `put-bytes` | `put`, after storing under keys of odd bytes and reading them back in order |
//! | `size:KEY` | how many bytes stand under KEY, or `none` |
//! | `delete:KEY` | `deleted` |
//! | `swap:KEY=OLD>NEW` | `swapped`, if KEY stood for OLD bytes of size |
//! | `key:LENGTH` | `put`, after storing under a key so long |
//! | `batch:COUNT*SIZE` | `put`, after storing so many values in one batch |
//! | `scan:MAX*BYTES` | how many entries in how many pages there are |
//! | `handles` | how many handles it got before it was refused |
//! | `usage` | the used bytes |
//!
//! What fails answers `KIND: ...`.

use hostile_support::{Answers, export_answers};
use stheno_sdk::store::{self, Change, Condition, Entry, Range, Store};
use stheno_sdk::{Description, Error, Instances, Lifecycle, Result};

struct Attacker {
    store: Option<Store>,
}

impl Lifecycle for Attacker {
    fn describe() -> Description {
        Description::new("store-cache", env!("CARGO_PKG_VERSION"), Instances::Many, &[])
    }

    fn start(_: &str) -> Result<Self> {
        Ok(Self { store: None })
    }
}

fn put(key: impl Into<Vec<u8>>, size: usize) -> Change {
    Change::Put(Entry { key: key.into(), value: vec![b'x'; size] })
}

fn number(text: &str) -> Result<usize> {
    text.parse().map_err(|_| Error::InvalidArgument(format!("{text} is no number")))
}

fn pair<'t>(text: &'t str, between: &str) -> Result<(&'t str, &'t str)> {
    text.split_once(between).ok_or_else(|| Error::InvalidArgument(format!("no {between}")))
}

/// Keys that a careless host would cut, join or sort wrongly.
fn odd_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = [
        &b"\0"[..],
        b"\0\0",
        b"\0\x01",
        b"..",
        b"../../etc/passwd",
        b"\x7f",
        b"\xff",
        b"\xff\0",
        b"\xff\xff",
        b"a\nb",
        b"'; DROP TABLE data",
        b"\xc3\x28",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    keys.push(vec![0xff; store::KEY_BYTES]);
    keys.sort();
    keys
}

impl Attacker {
    fn store(&mut self) -> Result<&Store> {
        let store = match self.store.take() {
            Some(store) => store,
            None => store::open("default")?,
        };
        Ok(self.store.insert(store))
    }

    fn put_odd(&mut self) -> Result<String> {
        let store = self.store()?;
        let keys = odd_keys();
        let changes: Vec<_> = keys
            .iter()
            .map(|key| Change::Put(Entry { key: key.clone(), value: key.clone() }))
            .collect();
        store.commit(&[], &changes)?;
        let values = store.get_many(&keys)?;
        let page = store.scan(&Range { start: None, end: None }, 10_000, store::PAGE_BYTES)?;
        let back: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
        if values.into_iter().flatten().collect::<Vec<_>>() == keys && back == keys {
            Ok("put".to_owned())
        } else {
            Err(Error::Internal("they came back otherwise".to_owned()))
        }
    }

    fn scan(&mut self, max: u32, bytes: u32) -> Result<String> {
        let store = self.store()?;
        let (mut entries, mut pages, mut range) = (0, 0, Range { start: None, end: None });
        loop {
            let page = store.scan(&range, max, bytes)?;
            entries += page.entries.len();
            pages += 1;
            if page.next.is_none() {
                return Ok(format!("{entries} in {pages}"));
            }
            range.start = page.next;
        }
    }

    fn act(&mut self, what: &str) -> Result<String> {
        let (verb, object) = what.split_once(':').unwrap_or((what, ""));
        match verb {
            "open" => store::open(object).map(|_| "opened".to_owned()),
            "put" => {
                let (key, size) = pair(object, "=")?;
                self.store()?.commit(&[], &[put(key, number(size)?)]).map(|()| "put".to_owned())
            }
            "put-bytes" => self.put_odd(),
            "size" => {
                let value = self.store()?.get(object.as_bytes())?;
                Ok(value.map_or("none".to_owned(), |value| value.len().to_string()))
            }
            "delete" => {
                let change = Change::Delete(object.into());
                self.store()?.commit(&[], &[change]).map(|()| "deleted".to_owned())
            }
            "swap" => {
                let (key, sizes) = pair(object, "=")?;
                let (old, new) = pair(sizes, ">")?;
                let value = Some(vec![b'x'; number(old)?]);
                let condition = Condition { key: key.into(), value };
                self.store()?.commit(&[condition], &[put(key, number(new)?)])?;
                Ok("swapped".to_owned())
            }
            "key" => {
                let key = vec![b'k'; number(object)?];
                self.store()?.commit(&[], &[put(key, 1)]).map(|()| "put".to_owned())
            }
            "batch" => {
                let (count, size) = pair(object, "*")?;
                let size = number(size)?;
                let changes: Vec<_> =
                    (0..number(count)?).map(|n| put(format!("batch {n:06}"), size)).collect();
                self.store()?.commit(&[], &changes).map(|()| "put".to_owned())
            }
            "scan" => {
                let (max, bytes) = pair(object, "*")?;
                let small = |text| number(text).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
                self.scan(small(max)?, small(bytes)?)
            }
            "handles" => {
                let mut held = Vec::new();
                loop {
                    match store::open("default") {
                        Ok(store) => held.push(store),
                        Err(Error::Unavailable(text)) => {
                            return Ok(format!("{}: {text}", held.len()));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            "usage" => Ok(self.store()?.usage()?.used_bytes.to_string()),
            _ => Err(Error::Unsupported(format!("{verb} is none of its misdeeds"))),
        }
    }
}

fn told(error: Error) -> String {
    match error {
        Error::Conflict(text) => format!("conflict: {text}"),
        Error::InvalidArgument(text) => format!("invalid-argument: {text}"),
        Error::Denied(text) => format!("denied: {text}"),
        Error::Unavailable(text) => format!("unavailable: {text}"),
        other => format!("other: {other:?}"),
    }
}

impl Answers for Attacker {
    fn answer(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.act(key).unwrap_or_else(told).into_bytes()))
    }
}

export_answers!(Attacker);
