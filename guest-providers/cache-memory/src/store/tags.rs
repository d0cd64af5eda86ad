//! Which ids carry which tag, both ways and exactly: a tag without members is
//! removed, and an id knows its place among the members, so that leaving takes
//! no search.

#![allow(clippy::indexing_slicing, reason = "tag numbers and places are made here")]

use hashbrown::HashTable;

/// A tag that an id carries, and where the id stands among its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TagRef {
    pub(super) tag: u32,
    pub(super) place: u32,
}

struct Tag {
    name: Box<str>,
    hash: u64,
    members: Vec<u32>,
}

pub(super) struct Tags {
    by_name: HashTable<u32>,
    tags: Vec<Tag>,
    free: Vec<u32>,
}

impl Tags {
    pub(super) const fn new() -> Self {
        Self { by_name: HashTable::new(), tags: Vec::new(), free: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn find(&self, hash: u64, name: &str) -> Option<u32> {
        self.by_name.find(hash, |&tag| *self.tags[tag as usize].name == *name).copied()
    }

    pub(super) fn name(&self, tag: u32) -> &str {
        &self.tags[tag as usize].name
    }

    pub(super) fn members(&self, tag: u32) -> &[u32] {
        &self.tags[tag as usize].members
    }

    /// The number of the tag with this name, made if there is none. A member
    /// must join next, or the tag would stay for nobody.
    pub(super) fn intern(&mut self, hash: u64, name: String) -> u32 {
        if let Some(tag) = self.find(hash, &name) {
            return tag;
        }
        let new = Tag { name: name.into_boxed_str(), hash, members: Vec::new() };
        let tag = match self.free.pop() {
            Some(tag) => {
                self.tags[tag as usize] = new;
                tag
            }
            None => {
                self.tags.push(new);
                (self.tags.len() - 1) as u32
            }
        };
        self.by_name.insert_unique(hash, tag, |&t| self.tags[t as usize].hash);
        tag
    }

    pub(super) fn join(&mut self, tag: u32, id: u32) -> TagRef {
        let members = &mut self.tags[tag as usize].members;
        members.push(id);
        TagRef { tag, place: (members.len() - 1) as u32 }
    }

    /// Takes the member at the place out. Gives the id that now stands there
    /// instead, if any: whoever keeps its `TagRef` must correct the place.
    pub(super) fn leave(&mut self, TagRef { tag, place }: TagRef) -> Option<u32> {
        let Tag { members, hash, .. } = &mut self.tags[tag as usize];
        members.swap_remove(place as usize);
        if members.is_empty() {
            let hash = *hash;
            if let Ok(found) = self.by_name.find_entry(hash, |&t| t == tag) {
                found.remove();
            }
            self.tags[tag as usize] = Tag { name: Box::default(), hash: 0, members: Vec::new() };
            self.free.push(tag);
            return None;
        }
        // A tag that once was large must not keep the memory for ever.
        if members.len() < members.capacity() / 4 && members.capacity() > 16 {
            members.shrink_to(members.len() * 2);
        }
        members.get(place as usize).copied()
    }
}
