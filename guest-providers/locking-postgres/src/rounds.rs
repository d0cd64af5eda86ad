//! From requests to rounds: in each no two want the same key, so that one statement
//! can serve it, and each request comes after all earlier ones that share a key.

use std::collections::HashMap;

use stheno_sdk::locking::Request;
use stheno_sdk::sql::{Statement, statement};

use crate::names;
use crate::statements::ACQUIRE;

/// The round of each request, counted from 0.
fn rounds(requests: &[Request]) -> Vec<usize> {
    let mut next: HashMap<&str, usize> = HashMap::new();
    let of = |request| {
        let Request { keys, .. }: &Request = request;
        let free = |key: &String| next.get(key.as_str()).copied().unwrap_or(0);
        let round = keys.iter().map(free).max().unwrap_or(0);
        next.extend(keys.iter().map(|key| (key.as_str(), round + 1)));
        round
    };
    requests.iter().map(of).collect()
}

/// The statements that serve the requests, in which a request is named by its place
/// and gets the number `place` of those that were reserved.
pub(crate) fn statements(requests: &[Request], session: i64) -> Vec<Statement> {
    let mut all: Vec<Round> = Vec::new();
    for (place, (request, round)) in requests.iter().zip(rounds(requests)).enumerate() {
        if all.len() <= round {
            all.resize_with(round + 1, Round::default);
        }
        if let Some(round) = all.get_mut(round) {
            round.add(place, request);
        }
    }
    let reserved = int(requests.len());
    all.into_iter().map(|round| round.statement(session, reserved)).collect()
}

/// The arguments of one statement, by keys and by requests.
#[derive(Default)]
struct Round {
    of_keys: Vec<i64>,
    keys: Vec<String>,
    places: Vec<i64>,
    owners: Vec<Option<String>>,
    ttls: Vec<Option<i64>>,
    waits: Vec<i64>,
    sizes: Vec<i64>,
}

impl Round {
    fn add(&mut self, place: usize, request: &Request) {
        let place = int(place);
        for key in &request.keys {
            self.of_keys.push(place);
            self.keys.push(names::stored(key));
        }
        self.places.push(place);
        self.owners.push(request.owner.clone());
        self.ttls.push(request.ttl_ms.map(ttl));
        self.waits.push(request.wait.into());
        self.sizes.push(int(request.keys.len()));
    }

    fn statement(self, session: i64, reserved: i64) -> Statement {
        statement(ACQUIRE)
            .int(session)
            .int(reserved)
            .ints(self.of_keys)
            .texts(self.keys)
            .ints(self.places)
            .maybe_texts(self.owners)
            .maybe_ints(self.ttls)
            .ints(self.waits)
            .ints(self.sizes)
    }
}

/// A time to live that the database can add to its clock. Thirty thousand years are
/// as good as more.
pub(crate) fn ttl(ttl_ms: u64) -> i64 {
    const LONGEST: i64 = 1_000_000_000_000_000;
    i64::try_from(ttl_ms).unwrap_or(LONGEST).min(LONGEST)
}

/// A count, as the database takes it.
pub(crate) fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(keys: &[&str]) -> Request {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Request { keys, owner: None, ttl_ms: None, wait: true }
    }

    #[test]
    fn who_shares_a_key_comes_later_and_all_others_at_once() {
        let requests = [&["a"][..], &["b", "c"], &["a", "b"], &["d"], &["b"], &["a"]].map(request);
        assert_eq!(rounds(&requests), [0, 0, 1, 0, 2, 2]);
        assert_eq!(statements(&requests, 7).len(), 3);
        assert!(statements(&[], 7).is_empty());
    }

    #[test]
    fn a_time_to_live_for_ever_and_a_day_can_be_added_to_the_clock() {
        assert_eq!(ttl(30_000), 30_000);
        assert!(ttl(u64::MAX).checked_add(i64::MAX / 2).is_some());
    }

    proptest! {
        #[test]
        fn no_round_has_a_key_twice_and_none_is_passed_by(
            all in proptest::collection::vec(proptest::collection::btree_set("[a-f]", 1..4), 0..40),
        ) {
            let requests: Vec<_> = all
                .iter()
                .map(|keys| request(&keys.iter().map(String::as_str).collect::<Vec<_>>()))
                .collect();
            let rounds = rounds(&requests);
            for (later, keys) in all.iter().enumerate() {
                for earlier in 0..later {
                    if !keys.is_disjoint(&all[earlier]) {
                        prop_assert!(rounds[earlier] < rounds[later]);
                    }
                }
            }
        }
    }
}
