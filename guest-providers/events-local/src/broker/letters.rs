//! What an operator does with dead letters: list, replay, remove.

use std::ops::Bound;

use stheno_sdk::events::{DeadLetter, DeadLetterPage};
use stheno_sdk::{Error, Result};

use super::deliver::{MAX_ANSWER_BYTES, MAX_ITEMS};
use super::event::Pending;
use super::kept::Dead;
use super::{Broker, Now, ids};

impl Broker {
    /// Dead letters, the oldest first, of one subscription if given.
    pub(crate) fn dead_letters(
        &mut self,
        subscription: Option<&str>,
        after: Option<&str>,
        max: u32,
        now: Now,
    ) -> Result<DeadLetterPage> {
        self.tidy(now);
        if max == 0 {
            return Err(Error::InvalidArgument("`max` is 0; write at least 1".to_owned()));
        }
        let after = match after {
            None => None,
            Some(text) => Some(ids::parse_name(text).ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "`after` is `{text}`; write the `next` of the page before"
                ))
            })?),
        };
        let of = subscription.map(|id| self.find(id)).transpose()?;
        // A lease that ran out may have been the last attempt.
        for index in of.map_or_else(|| self.subscriptions.indices(), |index| vec![index]) {
            self.advance(index, now);
        }

        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut numbers: Box<dyn Iterator<Item = u64>> =
            match of.map(|index| self.subscriptions.get(index)) {
                None => Box::new(self.dead.after(after)),
                Some(subscribed) => Box::new(
                    subscribed
                        .into_iter()
                        .flat_map(|s| s.dead.range((from, Bound::Unbounded)).copied()),
                ),
            };
        let max = usize::try_from(max).unwrap_or(MAX_ITEMS).min(MAX_ITEMS);
        let mut items = Vec::new();
        let mut room = MAX_ANSWER_BYTES;
        let mut next = None;
        for number in numbers.by_ref() {
            if items.len() == max || room == 0 {
                next = items.last().map(|last: &DeadLetter| last.id.clone());
                break;
            }
            if let Some(dead) = self.dead.get(number) {
                room = room.saturating_sub(dead.body.bytes());
                items.push(self.letter(number, dead));
            }
        }
        Ok(DeadLetterPage { items, next })
    }

    /// Makes them due again with all their attempts, and says how many.
    pub(crate) fn replay(&mut self, ids: &[String], now: Now) -> u64 {
        self.tidy(now);
        let mut count = 0;
        for Dead { body, subscription, .. } in self.take_letters(ids) {
            self.requeue(subscription, Pending { body, made: 0 }, now.ms, now);
            count += 1;
        }
        count
    }

    /// Forgets them, and says how many.
    pub(crate) fn remove_letters(&mut self, ids: &[String], now: Now) -> u64 {
        self.tidy(now);
        self.take_letters(ids).len() as u64
    }

    fn take_letters(&mut self, ids: &[String]) -> Vec<Dead> {
        let mut taken = Vec::new();
        for number in ids.iter().filter_map(|id| ids::parse_name(id)) {
            if let Some(dead) = self.dead.take(number) {
                if let Some(subscribed) = self.subscriptions.get_mut(dead.subscription) {
                    subscribed.dead.remove(&number);
                }
                taken.push(dead);
            }
        }
        taken
    }

    fn letter(&self, number: u64, dead: &Dead) -> DeadLetter {
        DeadLetter {
            id: ids::name(number),
            subscription: self
                .subscriptions
                .get(dead.subscription)
                .map(|s| s.terms.id.clone())
                .unwrap_or_default(),
            event: dead.body.to_event(),
            attempts: dead.made,
            reason: dead.reason.clone(),
            died_ms: dead.died_ms,
        }
    }
}
