//! The cache on the server: which exchanges each of its functions takes.
//!
//! | | exchanges |
//! |---|---|
//! | get | one for the entries; one for their tags, if they have any; one for each value that is cut |
//! | set | one for the tags, if there are any; one that stores all |
//! | clear tags | one, and one to give back the room of the lists |
//! | get by tags | one for the tags, one for each 16 of their lists, then as get |
//!
//! Per portion: many keys or bytes take several. A tag that is new, or whose list is
//! full or gone, takes two or three more ([`Store::settle`]).

use std::collections::{BTreeMap, BTreeSet};

use stheno_sdk::cache::Hit;
use stheno_sdk::{Error, Result};

use crate::change::{Change, Terms};
use crate::entry::{self, Bond, Found, PART, Stands};
use crate::lists::{self, FULL, Record, Seen};
use crate::names::{Id, Keys, Name};
use crate::protocol::{self, Batch, Mark, Reply};
use crate::server::Server;

/// Entries in one exchange of a read.
const READ: usize = 64;
/// Lists in one exchange.
const LISTS: usize = 16;
/// Commands in one exchange.
const COMMANDS: usize = 1_000;
/// How often a step is taken again because others were faster.
const ATTEMPTS: usize = 32;

pub(crate) struct Store {
    pub(crate) server: Server,
    pub(crate) keys: Keys,
    pub(crate) terms: Terms,
}

/// What a write found of the tags' lists.
#[derive(Default)]
struct Lists {
    gone: Vec<Name>,
    full: Vec<Name>,
}

impl Store {
    /// Asks whether the server is there.
    pub(crate) fn ping(&mut self) -> Result<()> {
        self.server.exchange(Batch::default()).map(drop)
    }

    /// The values under the keys, in their order.
    pub(crate) fn get(&mut self, keys: &[String], now_ms: u64) -> Result<Vec<Option<Vec<u8>>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(READ) {
            let names: Vec<_> = keys.iter().map(|key| Name::of(key)).collect();
            for (key, found) in keys.iter().zip(self.read(&names, now_ms)?) {
                values.push(found.filter(|found| found.key == *key).and_then(Found::value));
            }
        }
        Ok(values)
    }

    /// The entries with one of the tags.
    pub(crate) fn get_by_tags(&mut self, tags: &[String], now_ms: u64) -> Result<Vec<Hit>> {
        let tags: BTreeSet<_> = tags.iter().map(|tag| Name::of(tag)).collect();
        let tags_in_order: Vec<_> = tags.iter().copied().collect();
        let records = self.records(&tags_in_order)?;
        let mut ids = records.values().flat_map(Record::lists).copied().collect::<Vec<_>>();
        ids.sort_unstable();
        ids.dedup();
        let mut names = BTreeSet::new();
        for ids in ids.chunks(LISTS) {
            for (_, list) in self.lists(ids)? {
                let list = list.map(|(list, _)| lists::names(&list)).unwrap_or_default();
                names.extend(list.into_iter().filter(|(_, end_ms)| now_ms < *end_ms));
            }
        }
        let names: BTreeSet<_> = names.into_iter().map(|(name, _)| name).collect();
        let names: Vec<_> = names.into_iter().collect();
        let mut hits = Vec::new();
        for names in names.chunks(READ) {
            for (name, found) in names.iter().zip(self.read(names, now_ms)?) {
                let carries = |found: &Found| found.bonds.iter().any(|it| tags.contains(&it.tag));
                let found = found.filter(|found| carries(found) && Name::of(&found.key) == *name);
                if let Some((key, value)) =
                    found.and_then(|found| Some((found.key.clone(), found.value()?)))
                {
                    hits.push(Hit { key, value });
                }
            }
        }
        Ok(hits)
    }

    /// Stores and removes in this order.
    pub(crate) fn set(&mut self, portion: &[Change], now_ms: u64) -> Result<()> {
        let tags: BTreeSet<_> = portion
            .iter()
            .flat_map(|change| match change {
                Change::Put(item) => item.tags.iter().copied().collect(),
                Change::Remove(_) => Vec::new(),
            })
            .collect();
        let tags: Vec<_> = tags.into_iter().collect();
        for _ in 0..ATTEMPTS {
            let current = self.current(&tags, now_ms)?;
            let Lists { gone, full } = self.write(portion, &current)?;
            if gone.is_empty() {
                // All is stored. What this cannot do the next set does.
                let _ = full.iter().try_for_each(|tag| self.settle(tag, now_ms).map(drop));
                return Ok(());
            }
            gone.iter().try_for_each(|tag| self.settle(tag, now_ms).map(drop))?;
        }
        Err(Error::Unavailable("the server drops the lists of tags as they are made".into()))
    }

    /// Removes the keys.
    pub(crate) fn delete(&mut self, keys: &[String]) -> Result<()> {
        for keys in keys.chunks(COMMANDS) {
            let mut batch = Batch::default();
            keys.iter().for_each(|key| batch.delete(&self.keys.entry(&Name::of(key))));
            self.server.exchange(batch)?.into_iter().try_for_each(removed)?;
        }
        Ok(())
    }

    /// Removes what has one of the tags.
    pub(crate) fn clear_tags(&mut self, tags: &[String]) -> Result<()> {
        for tags in tags.chunks(COMMANDS / 2) {
            let mut batch = Batch::default();
            for tag in tags {
                let record = self.keys.tag(&Name::of(tag));
                batch.get(&record);
                batch.delete(&record);
            }
            let mut replies = self.server.exchange(batch)?.into_iter();
            let mut held = Vec::new();
            while let (Some(record), Some(gone)) = (replies.next(), replies.next()) {
                removed(gone)?;
                let record = value(record)?.and_then(|record| Record::read(&record));
                held.extend(record.into_iter().flat_map(|record| record.lists().to_vec()));
            }
            // They hold nothing any more. The server would also drop them when it
            // needs their room.
            for lists in held.chunks(COMMANDS) {
                let mut batch = Batch::default();
                lists.iter().for_each(|list| batch.delete(&self.keys.list(list)));
                if self.server.exchange(batch).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The entries under the names, in their order, with their values in one piece;
    /// none where none is alive.
    fn read(&mut self, names: &[Name], now_ms: u64) -> Result<Vec<Option<Found>>> {
        let mut batch = Batch::default();
        names.iter().for_each(|name| batch.get(&self.keys.entry(name)));
        let mut all = Vec::with_capacity(names.len());
        for reply in self.server.exchange(batch)? {
            let found = value(reply)?.and_then(|bytes| Found::read(&bytes));
            all.push(found.filter(|found| found.is_alive(now_ms)));
        }
        let bonds = all.iter().flatten().flat_map(|found| found.bonds.iter().copied());
        let hold = self.that_hold(&bonds.collect())?;
        for place in &mut all {
            *place = place.take().filter(|found| found.bonds.iter().all(|it| hold.contains(it)));
            if let Some(found) = place
                && let Stands::Elsewhere { id, length } = found.stands
            {
                match self.parts(&id, length)? {
                    Some(bytes) => found.stands = Stands::Here(bytes),
                    None => *place = None,
                }
            }
        }
        Ok(all)
    }

    /// A value that was cut, if all of it is there.
    fn parts(&mut self, id: &Id, length: usize) -> Result<Option<Vec<u8>>> {
        let mut batch = Batch::default();
        (0..length.div_ceil(PART)).for_each(|number| batch.get(&self.keys.part(id, number)));
        let mut whole = Vec::with_capacity(length);
        for reply in self.server.exchange(batch)? {
            let Some(part) = value(reply)? else { return Ok(None) };
            whole.extend(part);
        }
        Ok((whole.len() == length).then_some(whole))
    }

    /// Those of the bonds of which the tag's record names the list, and the list is
    /// there.
    fn that_hold(&mut self, bonds: &BTreeSet<Bond>) -> Result<BTreeSet<Bond>> {
        let mut hold = BTreeSet::new();
        let bonds: Vec<_> = bonds.iter().copied().collect();
        for bonds in bonds.chunks(COMMANDS / 2) {
            let tags: BTreeSet<_> = bonds.iter().map(|bond| bond.tag).collect();
            let lists: BTreeSet<_> = bonds.iter().map(|bond| bond.list).collect();
            let mut batch = Batch::default();
            tags.iter().for_each(|tag| batch.get(&self.keys.tag(tag)));
            lists.iter().for_each(|list| batch.size(&self.keys.list(list)));
            let mut replies = self.server.exchange(batch)?.into_iter();
            let mut records = BTreeMap::new();
            for (tag, reply) in tags.into_iter().zip(replies.by_ref()) {
                let record = value(reply)?.and_then(|record| Record::read(&record));
                records.insert(tag, record.unwrap_or_default());
            }
            let mut there = BTreeSet::new();
            for (list, reply) in lists.into_iter().zip(replies) {
                if item(reply)?.is_some() {
                    there.insert(list);
                }
            }
            hold.extend(bonds.iter().filter(|Bond { tag, list }| {
                let record = records.get(tag);
                there.contains(list) && record.is_some_and(|it| it.lists().contains(list))
            }));
        }
        Ok(hold)
    }

    /// The records of the tags that have one.
    fn records(&mut self, tags: &[Name]) -> Result<BTreeMap<Name, Record>> {
        let mut records = BTreeMap::new();
        for tags in tags.chunks(COMMANDS) {
            let mut batch = Batch::default();
            tags.iter().for_each(|tag| batch.get(&self.keys.tag(tag)));
            for (tag, reply) in tags.iter().zip(self.server.exchange(batch)?) {
                if let Some(record) = value(reply)?.and_then(|record| Record::read(&record)) {
                    records.insert(*tag, record);
                }
            }
        }
        Ok(records)
    }

    /// For each tag the list that is appended to.
    fn current(&mut self, tags: &[Name], now_ms: u64) -> Result<BTreeMap<Name, Id>> {
        let mut current = BTreeMap::new();
        if tags.is_empty() {
            return Ok(current);
        }
        let records = self.records(tags)?;
        for tag in tags {
            let list = match records.get(tag).and_then(Record::current) {
                Some(list) => list,
                None => self.settle(tag, now_ms)?,
            };
            current.insert(*tag, list);
        }
        Ok(current)
    }

    /// The lists, and what is in them.
    fn lists(&mut self, ids: &[Id]) -> Result<Vec<Seen>> {
        let mut batch = Batch::default();
        ids.iter().for_each(|id| batch.get_marked(&self.keys.list(id)));
        let replies = self.server.exchange(batch)?;
        ids.iter().zip(replies).map(|(id, reply)| Ok((*id, marked(reply)?))).collect()
    }

    /// Sees to it that a tag has a list with room, and says which.
    fn settle(&mut self, tag: &Name, now_ms: u64) -> Result<Id> {
        let key = self.keys.tag(tag);
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::default();
            batch.get_marked(&key);
            let found = self.server.exchange(batch)?.pop().map(marked).transpose()?.flatten();
            let record = found.as_ref().and_then(|(record, _)| Record::read(record));
            let mut seen = Vec::new();
            for ids in record.unwrap_or_default().lists().chunks(LISTS) {
                seen.extend(self.lists(ids)?);
            }
            let plan = lists::plan(&seen, crate::new_id(), now_ms);
            let Some(current) = plan.record.current() else { continue };
            let mut batch = Batch::default();
            for (id, mark, list) in &plan.shorter {
                batch.swap(&self.keys.list(id), *mark, list);
            }
            if plan.is_new {
                batch.add(&self.keys.list(&current), &[]);
            }
            let written = plan.record.write();
            if found.as_ref().is_some_and(|(record, _)| *record == written) {
                // A record that is swapped for itself would only make others try again.
                if batch.len() > 0 {
                    self.server.exchange(batch)?;
                }
                return Ok(current);
            }
            match found {
                Some((_, mark)) => batch.swap(&key, mark, &written),
                None => batch.add(&key, &written),
            }
            // A list that changed meanwhile stays as long as it is.
            match self.server.exchange(batch)?.pop() {
                Some(Reply::Done(_)) => return Ok(current),
                Some(Reply::Refused(why)) => return Err(refused(&why)),
                // Somebody else was faster.
                _ => {}
            }
        }
        Err(Error::Unavailable("the record of a tag changes too fast".into()))
    }

    /// Stores all of it in one exchange: first what an entry stands on, then the entry.
    fn write(&mut self, portion: &[Change], current: &BTreeMap<Name, Id>) -> Result<Lists> {
        let mut batch = Batch::default();
        let mut appended: BTreeMap<Name, Vec<u8>> = BTreeMap::new();
        let mut ids = Vec::with_capacity(portion.len());
        for change in portion {
            let Change::Put(item) = change else {
                ids.push(None);
                continue;
            };
            let parts = item.value.parts().map(|parts| {
                let id = crate::new_id();
                for (number, part) in parts.enumerate() {
                    batch.set(&self.keys.part(&id, number), item.seconds, part);
                }
                id
            });
            ids.push(parts);
            for tag in item.tags.iter().filter(|tag| current.contains_key(tag)) {
                let mention = lists::mention(&item.name, item.end_ms);
                appended.entry(*tag).or_default().extend(mention);
            }
        }
        let parts = batch.len();
        for (tag, names) in &appended {
            if let Some(list) = current.get(tag) {
                let list = self.keys.list(list);
                batch.append(&list, names);
                batch.size(&list);
            }
        }
        for (change, parts) in portion.iter().zip(ids) {
            match change {
                Change::Remove(name) => batch.delete(&self.keys.entry(name)),
                Change::Put(item) => {
                    let bond = |tag: &Name| Some(Bond { tag: *tag, list: *current.get(tag)? });
                    let bonds: Vec<_> = item.tags.iter().filter_map(bond).collect();
                    let entry = entry::write(item.end_ms, &item.key, &bonds, &item.value, parts);
                    batch.set(&self.keys.entry(&item.name), item.seconds, &entry);
                }
            }
        }
        let mut replies = self.server.exchange(batch)?.into_iter();
        replies.by_ref().take(parts).try_for_each(stored)?;
        let mut lists = Lists::default();
        for tag in appended.into_keys() {
            let appended = replies.next();
            let size = replies.next().map(item).transpose()?.flatten();
            match (appended, size.and_then(|item| item.size)) {
                (Some(Reply::Refused(why)), _) => return Err(refused(&why)),
                (Some(Reply::Done(_)), Some(size)) => {
                    if usize::try_from(size).is_ok_and(|size| size >= FULL) {
                        lists.full.push(tag);
                    }
                }
                _ => lists.gone.push(tag),
            }
        }
        for (change, reply) in portion.iter().zip(replies) {
            match change {
                Change::Remove(_) => removed(reply)?,
                Change::Put(_) => stored(reply)?,
            }
        }
        Ok(lists)
    }
}

fn refused(why: &str) -> Error {
    Error::Unavailable(format!("the server refuses: {why}"))
}

/// An item, if it is there.
fn item(reply: Reply) -> Result<Option<protocol::Found>> {
    match reply {
        Reply::Done(found) => Ok(Some(found)),
        Reply::Refused(why) => Err(refused(&why)),
        Reply::Missing | Reply::NotStored | Reply::Changed => Ok(None),
    }
}

fn value(reply: Reply) -> Result<Option<Vec<u8>>> {
    Ok(item(reply)?.and_then(|found| found.value))
}

fn marked(reply: Reply) -> Result<Option<(Vec<u8>, Mark)>> {
    Ok(item(reply)?.and_then(|found| Some((found.value?, found.mark?))))
}

fn removed(reply: Reply) -> Result<()> {
    item(reply).map(drop)
}

fn stored(reply: Reply) -> Result<()> {
    match item(reply)? {
        Some(_) => Ok(()),
        None => Err(refused("it stored nothing")),
    }
}
