//! Deadlines of entries, found when they are due without looking at the rest.
//!
//! A timing wheel of 11 rings of 64 buckets: ring `r` counts in steps of
//! 64^r ms, so the rings together cover every `u64`. An entry hangs in the ring
//! of the highest base-64 digit in which its deadline differs from the wheel's
//! time, and moves inwards as time comes nearer, at most ten times in its life.
//! Adding and removing are a few writes whatever the number of entries, which a
//! heap (log n, with cache misses) and sampling (never sure to find anything)
//! are not.

#![allow(
    clippy::indexing_slicing,
    reason = "ids and buckets are made here and by the slab, never outside"
)]

const DIGIT: u32 = 6;
const BUCKETS: usize = 1 << DIGIT;
const RINGS: usize = (u64::BITS as usize).div_ceil(DIGIT as usize);
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    deadline: u64,
    prev: u32,
    next: u32,
    /// `ring * BUCKETS + bucket`.
    bucket: u16,
}

const UNLINKED: Node = Node { deadline: 0, prev: NONE, next: NONE, bucket: 0 };

/// Ids with a deadline each. An id is in it at most once; ids are small
/// numbers, as a slab gives them.
pub(super) struct Wheel {
    /// Every deadline before this has been given out. Never above `now`.
    time: u64,
    heads: Vec<u32>,
    /// The bucket that is being emptied, if it is not empty.
    begun: usize,
    /// One bit for each bucket of a ring that is not empty.
    occupied: [u64; RINGS],
    nodes: Vec<Node>,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            time: 0,
            heads: vec![NONE; RINGS * BUCKETS],
            begun: 0,
            occupied: [0; RINGS],
            nodes: Vec::new(),
        }
    }

    pub(super) fn deadline(&self, id: u32) -> u64 {
        self.nodes[id as usize].deadline
    }

    pub(super) fn insert(&mut self, id: u32, deadline: u64) {
        let at = id as usize;
        if at >= self.nodes.len() {
            self.nodes.resize(at + 1, UNLINKED);
        }
        // A deadline in the past is due at once: it hangs where the wheel
        // stands.
        let place = deadline.max(self.time);
        let ring = (u64::BITS - 1 - ((place ^ self.time) | 1).leading_zeros()) / DIGIT;
        let within = (place >> (ring * DIGIT)) as usize % BUCKETS;
        let bucket = ring as usize * BUCKETS + within;
        let next = self.heads[bucket];
        if next != NONE {
            self.nodes[next as usize].prev = id;
        }
        self.nodes[at] = Node { deadline, prev: NONE, next, bucket: bucket as u16 };
        self.heads[bucket] = id;
        self.occupied[ring as usize] |= 1 << within;
    }

    pub(super) fn remove(&mut self, id: u32) {
        let Node { prev, next, bucket, .. } = self.nodes[id as usize];
        if next != NONE {
            self.nodes[next as usize].prev = prev;
        }
        if prev != NONE {
            self.nodes[prev as usize].next = next;
            return;
        }
        let bucket = usize::from(bucket);
        self.heads[bucket] = next;
        if next == NONE {
            self.occupied[bucket / BUCKETS] &= !(1 << (bucket % BUCKETS));
        }
    }

    /// Takes out one id whose deadline is `now` or earlier. Moves at most
    /// `steps` ids nearer on the way and counts them off; with none left it
    /// gives none, and goes on from there the next time.
    pub(super) fn pop_due(&mut self, now: u64, steps: &mut usize) -> Option<u32> {
        while *steps > 0 {
            // A bucket that was begun is finished first: the rings further in
            // already hold what was moved out of it.
            if self.heads[self.begun] == NONE {
                match self.first() {
                    Some((bucket, begin)) if begin <= now => {
                        self.begun = bucket;
                        self.time = self.time.max(begin);
                    }
                    // Nothing is due before now. The later the wheel stands,
                    // the nearer its place what is added gets.
                    _ => {
                        self.time = self.time.max(now);
                        return None;
                    }
                }
            }
            *steps -= 1;
            let id = self.heads[self.begun];
            let deadline = self.deadline(id);
            self.remove(id);
            if deadline <= now {
                return Some(id);
            }
            self.insert(id, deadline);
        }
        None
    }

    /// The bucket that comes first and the first moment that it covers. Rings
    /// further in come first, whole: their deadlines share more digits with
    /// the wheel's time.
    fn first(&self) -> Option<(usize, u64)> {
        let ring = self.occupied.iter().position(|&bits| bits != 0)?;
        let within = self.occupied[ring].trailing_zeros() as usize;
        let shift = ring as u32 * DIGIT;
        let above = self
            .time
            .checked_shr(shift + DIGIT)
            .and_then(|t| t.checked_shl(shift + DIGIT))
            .unwrap_or(0);
        Some((ring * BUCKETS + within, above | ((within as u64) << shift)))
    }
}

#[cfg(test)]
mod tests {
    use super::Wheel;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32, u64),
        Remove(u32),
        Pass(u64, usize),
    }

    fn span() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..200, 0u64..1 << 20, any::<u64>(), Just(u64::MAX)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u32..40, span()).prop_map(|(id, d)| Step::Insert(id, d)),
            2 => (0u32..40).prop_map(Step::Remove),
            4 => (prop_oneof![0u64..300, 0u64..1 << 21, 0u64..1 << 40], 0usize..20).prop_map(|(t, s)| Step::Pass(t, s)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_due_comes_out_and_nothing_else(steps in prop::collection::vec(step(), 1..120)) {
            let (mut wheel, mut model, mut now) = (Wheel::new(), BTreeMap::new(), 0u64);
            for step in steps {
                match step {
                    Step::Insert(id, after) => {
                        if model.contains_key(&id) {
                            wheel.remove(id);
                        }
                        let deadline = now.saturating_add(after);
                        wheel.insert(id, deadline);
                        model.insert(id, deadline);
                    }
                    Step::Remove(id) => {
                        if model.remove(&id).is_some() {
                            wheel.remove(id);
                        }
                    }
                    Step::Pass(time, mut budget) => {
                        now = now.saturating_add(time);
                        while let Some(id) = wheel.pop_due(now, &mut budget) {
                            let deadline = model.remove(&id);
                            prop_assert!(deadline.is_some_and(|d| d <= now), "{id} at {now}: {deadline:?}");
                        }
                        if budget > 0 {
                            prop_assert!(model.values().all(|&d| d > now), "left behind at {now}: {model:?}");
                        }
                    }
                }
            }
            let mut all = usize::MAX;
            while let Some(id) = wheel.pop_due(u64::MAX, &mut all) {
                prop_assert!(model.remove(&id).is_some());
            }
            prop_assert!(model.is_empty(), "lost: {model:?}");
        }
    }

    #[test]
    fn an_id_moves_at_most_ten_times_before_it_is_due() {
        let mut wheel = Wheel::new();
        wheel.insert(0, u64::MAX);
        let mut steps = 11;
        assert_eq!(wheel.pop_due(u64::MAX, &mut steps), Some(0));
    }
}
