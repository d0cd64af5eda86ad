//! A set of steps of one workflow.

/// Steps by their place in the definition, of which there are at most 256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits([u64; 4]);

impl Bits {
    pub(super) fn insert(&mut self, step: u16) {
        if let Some(word) = self.0.get_mut(usize::from(step >> 6)) {
            *word |= 1 << (step & 63);
        }
    }

    pub(super) fn remove(&mut self, step: u16) {
        if let Some(word) = self.0.get_mut(usize::from(step >> 6)) {
            *word &= !(1 << (step & 63));
        }
    }

    pub(super) fn contains(self, step: u16) -> bool {
        self.0.get(usize::from(step >> 6)).is_some_and(|word| word >> (step & 63) & 1 == 1)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    /// What is in both.
    pub(super) fn and(self, other: Self) -> Self {
        let mut both = self;
        both.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        both
    }

    /// What is in either.
    pub(super) fn or(self, other: Self) -> Self {
        let mut either = self;
        either.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        either
    }

    /// In the order of the definition.
    pub(super) fn iter(self) -> impl Iterator<Item = u16> {
        self.0.into_iter().zip(0u16..).flat_map(|(mut word, place)| {
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros();
                word &= word.wrapping_sub(1);
                // Of an empty word there are 64.
                u16::try_from(bit).ok().filter(|&bit| bit < 64).map(|bit| (place << 6) | bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bits(steps: &BTreeSet<u16>) -> Bits {
        let mut bits = Bits::default();
        steps.iter().for_each(|&step| bits.insert(step));
        bits
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_holds(
            one in prop::collection::btree_set(0u16..256, 0..40),
            other in prop::collection::btree_set(0u16..256, 0..40), step in 0u16..256,
        ) {
            let (a, b) = (bits(&one), bits(&other));
            prop_assert!(a.iter().eq(one.iter().copied()));
            prop_assert!(a.and(b).iter().eq(one.intersection(&other).copied()));
            prop_assert!(a.or(b).iter().eq(one.union(&other).copied()));
            prop_assert_eq!((a.contains(step), a.is_empty()), (one.contains(&step), one.is_empty()));
            let mut less = a;
            less.remove(step);
            prop_assert!(less.iter().eq(one.iter().copied().filter(|&other| other != step)));
        }
    }
}
