//! A store beside the broker: at any moment it holds what the broker holds.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;
use crate::broker::Restore;
use crate::broker::journal::Journal;
use proptest::prelude::*;
use stheno_sdk::Error;
use stheno_sdk::store::Change;

/// What a store keeps, without the disk.
#[derive(Clone, Default)]
pub(super) struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    pub(super) fn commit(&mut self, batch: Vec<Change>) {
        for change in batch {
            match change {
                Change::Put(entry) => drop(self.0.insert(entry.key, entry.value)),
                Change::Delete(key) => drop(self.0.remove(&key)),
            }
        }
    }

    /// Commits all that the broker has changed, and says in how many batches.
    pub(super) fn save(&mut self, broker: &Broker) -> usize {
        let batches = broker.take_changes();
        let count = batches.len();
        batches.into_iter().for_each(|batch| self.commit(batch));
        count
    }

    pub(super) fn open(&self, limits: Limits, batch_bytes: usize, now: Now) -> Broker {
        let mut restore = Restore::default();
        for (key, value) in &self.0 {
            restore.add(key, value).unwrap();
        }
        let journal = Journal::with_batches_of(batch_bytes, now);
        restore.with_journal(journal, limits, now, 43).unwrap()
    }
}

/// Everything that the broker holds, as a text: what differs here is lost or
/// made up.
pub(super) fn digest(broker: &Broker, now: Now) -> String {
    let mut text = String::new();
    for index in broker.subscriptions.indices() {
        let subscribed = broker.subscriptions.get(index).unwrap();
        writeln!(text, "{:?}", subscribed.terms).unwrap();
        let mut rows: Vec<String> = subscribed
            .queue
            .all()
            .map(|(due, pending)| {
                // What has come due stands with what is due when somebody asks.
                let due = due.filter(|&due| due > now.ms);
                format!("  waits {:?} {} {due:?}", pending.body.to_event(), pending.made)
            })
            .collect();
        for (token, end, pending) in broker.leases.all(index) {
            let event = pending.body.to_event();
            rows.push(format!("  leased {} {end} {event:?} {}", token.to_text(), pending.made));
        }
        for number in &subscribed.dead {
            let dead = broker.dead.get(*number).unwrap();
            let (event, reason) = (dead.body.to_event(), &dead.reason);
            rows.push(format!("  dead {number} {event:?} {} {reason} {}", dead.made, dead.died_ms));
        }
        rows.sort();
        text.extend(rows.iter().map(|row| format!("{row}\n")));
    }
    for kept in broker.retained.iter() {
        writeln!(text, "retained {:?} {} {}", kept.body.to_event(), kept.due, kept.expires)
            .unwrap();
    }
    for ((name, end), drafts) in broker.groups.all() {
        writeln!(text, "group {name} {end} {drafts:?}").unwrap();
    }
    writeln!(text, "{} held, {} bytes", broker.held(), broker.usage.get()).unwrap();
    text
}

/// A batch so small that most calls need several.
const SMALL: usize = 60;

fn filled(batch_bytes: usize) -> (Broker, Store) {
    let (mut store, now) = (Store::default(), at(0));
    let mut broker = store.open(WIDE, batch_bytes, now);
    broker.publish(vec![message("early", b"1"), message("early", b"2")], now).unwrap();
    broker.subscribe(subscription("one", "a*"), now).unwrap();
    broker.subscribe(subscription("two", "*"), now).unwrap();
    broker.publish(vec![message("a", b"3"), message("b", b"4"), message("a", b"5")], now).unwrap();
    let staged = vec![message("a", b"6"), message("b", b"7"), message("c", b"8")];
    broker.stage("g".to_owned(), 1_000, staged, now).unwrap();
    let token = pull(&mut broker, "two", 2, 1).deliveries[0].token.clone();
    settle(&mut broker, &token, Verdict::Rejected("no".to_owned()), 1);
    store.save(&broker);
    (broker, store)
}

/// A call on a filled broker.
type Call = fn(&mut Broker);

#[test]
fn a_call_cut_short_between_two_batches_was_made_whole_or_not_at_all() {
    let calls: [(&str, Call); 7] = [
        ("publish", |broker| {
            let messages = (0..5).map(|n| message("a", &[n; 40])).collect();
            drop(broker.publish(messages, at(2)).unwrap());
        }),
        ("publish to nobody", |broker| {
            broker.unsubscribe("two", at(2)).unwrap();
            broker.take_changes();
            let messages = (0..5).map(|n| message("nobody", &[n; 40])).collect();
            drop(broker.publish(messages, at(2)).unwrap());
        }),
        ("stage", |broker| {
            let messages = (0..5).map(|n| message("a", &[n; 40])).collect();
            broker.stage("g".to_owned(), 1_000, messages, at(2)).unwrap();
        }),
        ("release", |broker| assert_eq!(broker.release("g", at(2)).unwrap(), 3)),
        ("discard", |broker| assert_eq!(broker.discard("g", &[], at(2)), 3)),
        ("subscribe", |broker| {
            let terms = Subscription { retained: true, ..subscription("new", "early") };
            broker.subscribe(terms, at(2)).unwrap();
        }),
        ("unsubscribe", |broker| broker.unsubscribe("two", at(2)).unwrap()),
    ];
    for (name, call) in calls {
        let (mut broker, mut store) = filled(SMALL);
        if name == "publish to nobody" {
            // What the call does first is done before it is cut short.
            let mut prepared = store.open(WIDE, SMALL, at(2));
            prepared.unsubscribe("two", at(2)).unwrap();
            store.save(&prepared);
        }
        let before = digest(&store.open(WIDE, SMALL, at(2)), at(2));
        call(&mut broker);
        let after = digest(&broker, at(2));
        let batches = broker.take_changes();
        assert!(batches.len() > 1, "{name} fits into {} batches", batches.len());
        let mut was_made = false;
        for batch in batches {
            store.commit(batch);
            let mut found = store.open(WIDE, SMALL, at(2));
            check(&found);
            let seen = digest(&found, at(2));
            assert!(
                seen == after || (seen == before && !was_made),
                "{name}: {seen}\nafter:\n{after}"
            );
            was_made = seen == after;
            // What was left behind goes with the first commit, and is not missed.
            let mut tidied = store.clone();
            tidied.save(&found);
            assert_eq!(digest(&tidied.open(WIDE, SMALL, at(2)), at(2)), seen);
            assert!(found.publish(vec![message("a", b"")], at(2)).is_ok());
        }
        assert!(was_made, "{name}");
    }
}

#[test]
fn a_store_is_empty_again_once_nothing_is_held() {
    let (mut broker, mut store) = filled(SMALL);
    broker.discard("g", &[], at(2));
    for id in ["one", "two"] {
        broker.unsubscribe(id, at(2)).unwrap();
    }
    broker.tidy(at(WIDE.retain_ms));
    store.save(&broker);
    assert_eq!((broker.held(), broker.usage.get()), (0, 0));
    // What the store is remains, and nothing else.
    assert_eq!(store.0.len(), 1);
}

#[test]
fn an_event_takes_one_row_a_lease_one_and_what_is_done_none() {
    let mut store = Store::default();
    let mut broker = store.open(WIDE, 1 << 20, at(0));
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.subscribe(subscription("two", "*"), at(0)).unwrap();
    store.save(&broker);
    let rows = store.0.len();
    broker.publish((0..10).map(|n| message("a", &[n])).collect(), at(0)).unwrap();
    assert_eq!((store.save(&broker), store.0.len()), (1, rows + 10));
    let mut leased = Vec::new();
    for id in ["one", "two"] {
        leased.extend(pull(&mut broker, id, 10, 0).deliveries);
    }
    assert_eq!((store.save(&broker), store.0.len()), (1, rows + 30));
    for delivery in leased {
        settle(&mut broker, &delivery.token, Verdict::Handled, 0);
    }
    assert_eq!((store.save(&broker), store.0.len()), (1, rows));
    assert_eq!((pull(&mut broker, "one", 1, 0).deliveries.len(), store.save(&broker)), (0, 0));
}

#[test]
fn a_lease_goes_on_after_a_restart_and_runs_out_when_it_would_have() {
    let mut store = Store::default();
    let mut broker = store.open(WIDE, 1 << 20, at(0));
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.publish(vec![message("a", b"x"), message("a", b"y")], at(0)).unwrap();
    let leased = pull(&mut broker, "one", 2, 0).deliveries;
    store.save(&broker);
    // Another process counts its time from another moment.
    let later = |ms: u64| Now { ms, unix_ms: at(50).unix_ms + ms };
    let mut broker = store.open(WIDE, 1 << 20, later(0));
    let outcome = Outcome { token: leased[0].token.clone(), verdict: Verdict::Handled };
    assert!(broker.settle(vec![outcome], later(0)).is_empty());
    let due = |broker: &mut Broker, ms| broker.pull(&["one".to_owned()], 9, 1, later(ms)).unwrap();
    let none = due(&mut broker, 49);
    assert_eq!((none.deliveries.len(), none.next_due_ms), (0, Some(1)));
    let again = due(&mut broker, 50).deliveries;
    assert_eq!((again.len(), again[0].attempt, &again[0].event.data[..]), (1, 2, &b"y"[..]));
    assert_ne!(again[0].token, leased[1].token);
}

#[test]
fn names_are_not_given_again_though_the_clock_went_back() {
    let mut store = Store::default();
    let mut broker = store.open(WIDE, 1 << 20, at(1_000_000));
    broker.subscribe(subscription("one", "*"), at(1_000_000)).unwrap();
    let first = broker.publish(vec![message("a", b"")], at(1_000_000)).unwrap();
    store.save(&broker);
    let mut broker = store.open(WIDE, 1 << 20, at(0));
    let second = broker.publish(vec![message("a", b"")], at(0)).unwrap();
    assert!(second > first, "{first:?} {second:?}");
}

#[test]
fn a_store_of_something_else_is_refused_and_left_alone() {
    for rows in [
        vec![(&b"anything"[..], &b"else"[..])],
        vec![(&[0][..], &b"events-local 9"[..])],
        vec![(&[2, 0, 0, 0, 0, 0, 0, 0, 1][..], &b"no meta row before"[..])],
    ] {
        let mut restore = Restore::default();
        let refused = rows.iter().find_map(|(key, value)| restore.add(key, value).err());
        assert!(
            matches!(refused, Some(Error::Unavailable(text)) if text.contains("file of its own"))
        );
    }
}

proptest! {
    #[test]
    fn no_row_brings_the_loading_down(
        rows in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..60), 0..9)
    ) {
        let mut restore = Restore::default();
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.insert(0, (vec![0], crate::broker::rows::meta(9)));
        if rows.iter().all(|(key, value)| restore.add(key, value).is_ok()) {
            restore.finish(WIDE, at(0), 1).unwrap();
        }
    }
}
