//! One property each, at the bounds and with bad input.

use super::*;
use crate::broker::event::EVENT_OVERHEAD;
use proptest::prelude::*;
use stheno_sdk::Error;

fn text(error: &Error) -> &str {
    match error {
        Error::InvalidArgument(text)
        | Error::Unavailable(text)
        | Error::NotFound(text)
        | Error::Conflict(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_provider_refuses_the_whole_call_and_says_what_to_do() {
    let mut broker = broker(Limits { max_events: 5, ..WIDE });
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.subscribe(subscription("two", "a"), at(0)).unwrap();
    broker.publish(vec![message("a", b""), message("a", b"")], at(0)).unwrap();
    let refused = broker.publish(vec![message("b", b""), message("b", b"")], at(0)).unwrap_err();
    assert!(
        matches!(refused, Error::Unavailable(_)) && text(&refused).contains("`max_events`"),
        "{refused:?}"
    );
    assert_eq!(broker.held(), 4);
    broker.publish(vec![message("b", b"")], at(0)).unwrap();
    let token = pull(&mut broker, "one", 1, 0).deliveries[0].token.clone();
    assert!(
        broker.publish(vec![message("b", b"")], at(0)).is_err(),
        "a leased event still takes room"
    );
    settle(&mut broker, &token, Verdict::Handled, 0);
    broker.publish(vec![message("b", b"")], at(0)).unwrap();
    check(&broker);
}

#[test]
fn a_refused_release_leaves_the_group_whole() {
    let mut broker = broker(Limits { max_events: 3, ..WIDE });
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.subscribe(subscription("two", "*"), at(0)).unwrap();
    broker.stage("g".to_owned(), 100, vec![message("a", b""), message("a", b"")], at(0)).unwrap();
    assert!(matches!(broker.release("g", at(0)), Err(Error::Unavailable(_))));
    broker.unsubscribe("two", at(0)).unwrap();
    assert_eq!(broker.release("g", at(0)).unwrap(), 2);
    assert_eq!(broker.release("g", at(0)).unwrap(), 0);
    check(&broker);
}

#[test]
fn bytes_are_counted_once_for_all_subscriptions_and_given_back() {
    let one = EVENT_OVERHEAD + 1 + 1_000;
    let mut broker = broker(Limits { max_bytes: 2 * one, ..WIDE });
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.subscribe(subscription("two", "*"), at(0)).unwrap();
    broker.publish(vec![message("a", &[1; 1_000]), message("a", &[2; 1_000])], at(0)).unwrap();
    assert_eq!(broker.usage.get(), 2 * one);
    let refused = broker.publish(vec![message("a", b"")], at(0)).unwrap_err();
    assert!(text(&refused).contains("`max_bytes`"), "{refused:?}");
    assert_eq!(broker.usage.get(), 2 * one);
    for id in ["one", "two"] {
        for delivery in pull(&mut broker, id, 9, 0).deliveries {
            settle(&mut broker, &delivery.token, Verdict::Handled, 0);
        }
    }
    assert_eq!(broker.usage.get(), 0);
}

#[test]
fn an_event_larger_than_the_provider_is_a_bad_argument() {
    let mut broker = broker(Limits { max_bytes: 1_000, ..WIDE });
    let refused =
        broker.publish(vec![message("a", b""), message("big", &[0; 2_000])], at(0)).unwrap_err();
    assert!(matches!(refused, Error::InvalidArgument(_)) && text(&refused).contains("`big`"));
    assert_eq!((broker.held(), broker.usage.get()), (0, 0));
}

#[test]
fn bad_arguments_are_named_and_change_nothing() {
    let mut broker = broker(WIDE);
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    let bad = [
        (Message { priority: Some(0), ..message("a", b"") }, "`priority`"),
        (Message { priority: Some(2_097_153), ..message("a", b"") }, "`priority`"),
        (Message { attempts: Some(0), ..message("a", b"") }, "`attempts`"),
    ];
    for (wrong, name) in bad {
        let publish = broker.publish(vec![message("a", b""), wrong.clone()], at(0)).unwrap_err();
        let stage =
            broker.stage("g".to_owned(), 1, vec![message("a", b""), wrong], at(0)).unwrap_err();
        assert!(text(&publish).contains(name) && text(&stage).contains(name));
    }
    assert!(
        text(&broker.stage("g".to_owned(), 0, vec![message("a", b"")], at(0)).unwrap_err())
            .contains("`ttl-ms`")
    );
    assert!(
        text(&broker.pull(&["one".to_owned()], 1, 0, at(0)).unwrap_err()).contains("`lease-ms`")
    );
    assert!(text(&broker.extend(vec![], 0, at(0)).unwrap_err()).contains("`lease-ms`"));
    assert!(text(&broker.dead_letters(None, None, 0, at(0)).unwrap_err()).contains("`max`"));
    assert!(text(&broker.dead_letters(None, Some("x"), 1, at(0)).unwrap_err()).contains("`after`"));
    assert!(
        text(&broker.dead_letters(Some("nobody"), None, 1, at(0)).unwrap_err())
            .contains("`nobody`")
    );
    assert!(
        text(&broker.pull(&["nobody".to_owned()], 1, 1, at(0)).unwrap_err()).contains("`nobody`")
    );
    let idle = Subscription { idle_ttl_ms: Some(0), ..subscription("idle", "*") };
    assert!(text(&broker.subscribe(idle, at(0)).unwrap_err()).contains("`idle-ttl-ms`"));
    assert_eq!((broker.held(), broker.usage.get(), broker.subscriptions.len()), (0, 0, 1));
}

#[test]
fn retained_events_are_bounded_by_number_bytes_and_age() {
    let mut by_number = broker(Limits { retain_events: 2, ..WIDE });
    by_number.publish((0..5).map(|n| message("a", &[n])).collect(), at(0)).unwrap();
    let retained = Subscription { retained: true, ..subscription("one", "*") };
    by_number.subscribe(retained.clone(), at(0)).unwrap();
    let kept: Vec<_> =
        pull(&mut by_number, "one", 9, 0).deliveries.into_iter().map(|d| d.event.data).collect();
    assert_eq!(kept, [[3], [4]]);

    let mut by_bytes = broker(Limits { retain_bytes: 2 * (EVENT_OVERHEAD + 2), ..WIDE });
    by_bytes.publish((0..5).map(|n| message("a", &[n])).collect(), at(0)).unwrap();
    assert_eq!(by_bytes.held(), 2);

    let mut by_age = broker(WIDE);
    by_age.publish(vec![message("a", b"")], at(0)).unwrap();
    by_age.subscribe(retained.clone(), at(WIDE.retain_ms - 1)).unwrap();
    by_age
        .subscribe(Subscription { id: "late".to_owned(), ..retained }, at(WIDE.retain_ms))
        .unwrap();
    assert_eq!(pull(&mut by_age, "one", 9, WIDE.retain_ms).deliveries.len(), 1);
    assert_eq!(pull(&mut by_age, "late", 9, WIDE.retain_ms).deliveries.len(), 0);
}

#[test]
fn retained_events_wait_for_every_later_subscription() {
    let mut broker = broker(WIDE);
    broker.publish(vec![message("a", b"x")], at(0)).unwrap();
    for id in ["one", "two"] {
        broker.subscribe(Subscription { retained: true, ..subscription(id, "a*") }, at(1)).unwrap();
        let delivery = pull(&mut broker, id, 9, 1).deliveries.remove(0);
        assert_eq!(delivery.event.data, b"x");
        settle(&mut broker, &delivery.token, Verdict::Handled, 1);
    }
    broker.subscribe(subscription("plain", "a*"), at(1)).unwrap();
    assert!(pull(&mut broker, "plain", 9, 1).deliveries.is_empty());
}

#[test]
fn too_many_dead_letters_drop_the_oldest_and_it_is_counted() {
    let mut broker = broker(Limits { dead_letters: 2, ..WIDE });
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.publish((0..5).map(|n| message("a", &[n])).collect(), at(0)).unwrap();
    for delivery in pull(&mut broker, "one", 9, 0).deliveries {
        settle(&mut broker, &delivery.token, Verdict::Rejected("no".to_owned()), 0);
    }
    let left: Vec<_> = broker
        .dead_letters(None, None, 9, at(0))
        .unwrap()
        .items
        .into_iter()
        .map(|l| l.event.data)
        .collect();
    assert_eq!(left, [[3], [4]]);
    assert_eq!((broker.take_dropped_letters(), broker.take_dropped_letters()), (3, 0));
    check(&broker);
}

#[test]
fn a_lease_that_runs_out_counts_and_the_last_one_is_a_dead_letter() {
    let mut broker = broker(WIDE);
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.publish(vec![Message { attempts: Some(2), ..message("a", b"") }], at(0)).unwrap();
    let first = pull(&mut broker, "one", 1, 0);
    assert_eq!(first.next_due_ms, Some(100), "when the lease ends");
    assert!(pull(&mut broker, "one", 1, 99).deliveries.is_empty());
    assert_eq!(
        settle(&mut broker, &first.deliveries[0].token, Verdict::Handled, 100).len(),
        1,
        "it has just run out"
    );
    let second = pull(&mut broker, "one", 1, 100);
    assert_eq!(second.deliveries[0].attempt, 2);
    let letters = broker.dead_letters(Some("one"), None, 9, at(200)).unwrap().items;
    assert_eq!((letters[0].attempts, letters[0].reason.as_str()), (2, "lease ran out"));
}

#[test]
fn an_extended_lease_holds_from_now() {
    let mut broker = broker(WIDE);
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.publish(vec![message("a", b"")], at(0)).unwrap();
    let token = pull(&mut broker, "one", 1, 0).deliveries.remove(0).token;
    assert!(broker.extend(vec![token.clone()], 50, at(90)).unwrap().is_empty());
    assert!(pull(&mut broker, "one", 1, 139).deliveries.is_empty());
    assert_eq!(
        broker.extend(vec![token.clone()], 50, at(140)).unwrap(),
        std::slice::from_ref(&token)
    );
    assert_eq!(pull(&mut broker, "one", 1, 140).deliveries.len(), 1);
    assert_eq!(
        settle(&mut broker, &token, Verdict::Handled, 140),
        [token],
        "another attempt has another token"
    );
}

#[test]
fn a_subscription_lives_as_long_as_somebody_pulls() {
    let mut broker = broker(WIDE);
    broker
        .subscribe(Subscription { idle_ttl_ms: Some(50), ..subscription("one", "*") }, at(0))
        .unwrap();
    broker.publish(vec![message("a", b"")], at(0)).unwrap();
    let token = pull(&mut broker, "one", 1, 49).deliveries.remove(0).token;
    assert!(broker.pull(&["one".to_owned()], 1, 100, at(98)).is_ok());
    assert!(matches!(broker.pull(&["one".to_owned()], 1, 100, at(148)), Err(Error::NotFound(_))));
    assert_eq!(settle(&mut broker, &token, Verdict::Handled, 148).len(), 1);
    assert_eq!((broker.held(), broker.usage.get()), (0, 0));
}

#[test]
fn one_pull_gives_no_more_bytes_than_the_instance_can_hold_twice() {
    let mut broker = broker(WIDE);
    broker.subscribe(subscription("one", "*"), at(0)).unwrap();
    broker.publish((0..10).map(|_| message("a", &[0; 1 << 20])).collect(), at(0)).unwrap();
    let pulled = pull(&mut broker, "one", 1_000, 0);
    assert_eq!((pulled.deliveries.len(), pulled.next_due_ms), (4, Some(0)));
}

#[test]
fn names_from_before_a_restart_mean_nothing_after_it() {
    let mut before = broker(WIDE);
    before.subscribe(subscription("one", "*"), at(0)).unwrap();
    let ids = before.publish(vec![message("a", b"")], at(0)).unwrap();
    let token = pull(&mut before, "one", 1, 0).deliveries.remove(0).token;
    let mut after = Broker::new(WIDE, at(5), 43);
    after.subscribe(subscription("one", "*"), at(5)).unwrap();
    assert_ne!(after.publish(vec![message("a", b"")], at(5)).unwrap(), ids);
    assert_eq!(pull(&mut after, "one", 1, 5).deliveries.len(), 1);
    assert_eq!(settle(&mut after, &token, Verdict::Handled, 5), [token]);
}

#[test]
fn many_new_names_do_not_fill_the_memory() {
    let mut broker = broker(Limits { retain_events: 0, ..WIDE });
    for n in 0..20_000u32 {
        broker.publish(vec![message(&format!("name.{n}"), b"")], at(0)).unwrap();
        assert!(broker.subscriptions.route_places() <= 1 << 16);
    }
    assert_eq!(broker.usage.get(), 0);
}

proptest! {
    #[test]
    fn a_retry_waits_between_half_and_all_of_the_doubled_time(
        initial in prop_oneof![1u64..5_000, any::<u64>()],
        max in prop_oneof![1u64..100_000, any::<u64>()],
        seed: u64,
    ) {
        let mut broker = Broker::new(WIDE, at(0), seed);
        broker.subscribe(subscription("one", "*"), at(0)).unwrap();
        let backoff = Some(stheno_sdk::events::Backoff { initial_ms: initial, max_ms: max });
        broker.publish(vec![Message { attempts: Some(80), backoff, ..message("a", b"") }], at(0)).unwrap();
        let mut now = 0;
        for failed in 1..70u32 {
            let pulled = pull(&mut broker, "one", 1, now);
            settle(&mut broker, &pulled.deliveries[0].token, Verdict::Failed(String::new()), now);
            let full = u128::from(initial).saturating_mul(1 << (failed - 1)).min(u128::from(max)) as u64;
            let wait = pull(&mut broker, "one", 1, now).next_due_ms.unwrap();
            prop_assert!(wait <= full && wait >= (full - full / 2).min(u64::MAX - now), "{wait} of {full}");
            now = now.saturating_add(wait);
            if now == u64::MAX {
                break;
            }
        }
    }

    #[test]
    fn no_text_brings_the_broker_down(token in "\\PC{0,30}", hex in "[0-9a-f.]{0,40}", reason in "\\PC{0,2000}") {
        let mut broker = broker(WIDE);
        broker.subscribe(subscription("one", "*"), at(0)).unwrap();
        broker.publish(vec![message("a", b"")], at(0)).unwrap();
        let real = pull(&mut broker, "one", 1, 0).deliveries.remove(0).token;
        for text in [token, hex] {
            prop_assert_eq!(settle(&mut broker, &text, Verdict::Handled, 0), vec![text.clone()]);
            prop_assert_eq!(broker.extend(vec![text.clone()], 1, at(0)).unwrap(), vec![text.clone()]);
            prop_assert_eq!(broker.replay(std::slice::from_ref(&text), at(0)), 0);
            let _ = broker.dead_letters(None, Some(&text), 1, at(0));
        }
        settle(&mut broker, &real, Verdict::Rejected(reason.clone()), 0);
        let letter = broker.dead_letters(None, None, 1, at(0)).unwrap().items.remove(0);
        prop_assert!(letter.reason.len() <= 1_024 && reason.starts_with(&letter.reason));
    }
}
