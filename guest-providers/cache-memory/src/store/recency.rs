//! Which id was used last: a doubly linked list within a vector.

#![allow(clippy::indexing_slicing, reason = "ids are the slab's own")]

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    newer: u32,
    older: u32,
}

/// Ids in the order of use. An id is in it at most once.
pub(super) struct Recency {
    links: Vec<Link>,
    newest: u32,
    oldest: u32,
}

impl Recency {
    pub(super) const fn new() -> Self {
        Self { links: Vec::new(), newest: NONE, oldest: NONE }
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    pub(super) fn insert(&mut self, id: u32) {
        let link = Link { newer: NONE, older: self.newest };
        match self.links.get_mut(id as usize) {
            Some(place) => *place = link,
            // The slab gives ids out one after the other.
            None => self.links.push(link),
        }
        match self.newest {
            NONE => self.oldest = id,
            newest => self.links[newest as usize].newer = id,
        }
        self.newest = id;
    }

    pub(super) fn remove(&mut self, id: u32) {
        let Link { newer, older } = self.links[id as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
    }

    pub(super) fn touch(&mut self, id: u32) {
        if self.newest != id {
            self.remove(id);
            self.insert(id);
        }
    }
}
