//! Single properties, told one by one.

use super::*;

fn release(table: &mut Table, grant: &Grant, now: u64) -> (Vec<String>, Vec<String>) {
    let released = table.exchange(vec![grant.token.clone()], Vec::new(), now);
    (released.lost, released.woken)
}

fn turn(table: &mut Table, ticket: &str, now: u64) -> Option<Turn> {
    table.poll(vec![ticket.to_owned()], now).turns.pop().map(|(_, turn)| turn)
}

#[test]
fn a_lease_holds_until_its_last_millisecond_and_no_longer() {
    let mut table = table();
    let first = granted(ask(&mut table, request(&["a"], None, Some(10), false), 0));
    let refused = ask(&mut table, request(&["a"], None, None, false), 9);
    assert!(matches!(refused, Answer::Refused(Error::Conflict(text)) if text.contains("\"a\"")));
    let second = granted(ask(&mut table, request(&["a"], None, None, false), 10));
    assert!(second.fence > first.fence);
    assert_eq!(release(&mut table, &first, 10).0, [first.token]);
    assert!(release(&mut table, &second, u64::MAX).0.is_empty());
    assert_empty(&mut table);
}

#[test]
fn leases_that_nobody_comes_for_are_swept() {
    let mut table = table();
    for n in 0..500 {
        granted(ask(&mut table, request(&[&format!("old:{n}")], None, Some(1), false), 0));
    }
    for n in 0..1_000 {
        let grant =
            granted(ask(&mut table, request(&[&format!("new:{n}")], None, None, false), 10));
        release(&mut table, &grant, 10);
    }
    assert_empty(&mut table);
}

#[test]
fn full_is_an_error_and_changes_nothing() {
    let mut table = Table::new(Limits { max_keys: 2, max_waiting: 1 }, 0, 7);
    let held = granted(ask(&mut table, request(&["a", "b"], None, None, false), 0));
    let full = ask(&mut table, request(&["c"], None, None, true), 0);
    assert!(
        matches!(full, Answer::Refused(Error::Unavailable(text)) if text.contains("`max_keys`"))
    );
    let waits = ticket(ask(&mut table, request(&["a"], None, None, true), 0));
    let full = ask(&mut table, request(&["b"], None, None, true), 0);
    assert!(
        matches!(full, Answer::Refused(Error::Unavailable(text)) if text.contains("`max_waiting`"))
    );
    assert_eq!(release(&mut table, &held, 0), (vec![], vec![waits]));
    granted(ask(&mut table, request(&["b"], None, None, false), 0));
}

#[test]
fn a_ticket_that_was_granted_and_is_abandoned_passes_on() {
    let mut table = table();
    let held = granted(ask(&mut table, request(&["a"], None, None, false), 0));
    let tickets: Vec<_> =
        (0..3).map(|_| ticket(ask(&mut table, request(&["a"], None, None, true), 0))).collect();
    assert_eq!(release(&mut table, &held, 0).1, [tickets[0].clone()]);
    assert_eq!(table.abandon(&tickets[..1], 0), [tickets[1].clone()]);
    assert!(matches!(turn(&mut table, &tickets[0], 0), Some(Turn::Gone)));
    assert!(turn(&mut table, &tickets[2], 0).is_none());
    let Some(Turn::Granted(second)) = turn(&mut table, &tickets[1], 0) else { panic!() };
    // It is granted once.
    assert!(matches!(turn(&mut table, &tickets[1], 0), Some(Turn::Gone)));
    release(&mut table, &second, 0);
    table.abandon(&tickets, 0);
    assert_empty(&mut table);
}

#[test]
fn names_of_another_instance_mean_nothing() {
    let (mut before, mut after) = (table(), Table::new(WIDE, 1_700_000_000_000, 8));
    let held = granted(ask(&mut before, request(&["a"], None, None, false), 0));
    let waits = ticket(ask(&mut before, request(&["a"], None, None, true), 0));
    after.resume(held.fence);
    let new = granted(ask(&mut after, request(&["a"], None, None, false), 0));
    assert!(new.fence > held.fence);
    ticket(ask(&mut after, request(&["a"], None, None, true), 0));
    assert!(matches!(turn(&mut after, &waits, 0), Some(Turn::Gone)));
    assert!(after.abandon(&[waits], 0).is_empty());
    assert_eq!(release(&mut after, &held, 0).0, [held.token]);
    assert_eq!(after.inspect(&["a".to_owned()], 0)[0].as_ref().unwrap().fence, new.fence);
}

#[test]
fn who_waits_for_all_is_not_passed_by_who_wants_one() {
    let mut table = table();
    let a = granted(ask(&mut table, request(&["a"], None, None, false), 0));
    let both = ticket(ask(&mut table, request(&["b", "a"], None, None, true), 0));
    // `b` is free, and yet taken: somebody is in front.
    let b = ask(&mut table, request(&["b"], None, None, false), 0);
    assert!(matches!(b, Answer::Refused(Error::Conflict(_))));
    let late = ticket(ask(&mut table, request(&["b"], None, None, true), 0));
    assert_eq!(release(&mut table, &a, 0).1, std::slice::from_ref(&both));
    let Some(Turn::Granted(both)) = turn(&mut table, &both, 0) else { panic!() };
    assert_eq!(release(&mut table, &both, 0).1, [late]);
}

/// Somebody waits for `a`, which is leased up to 10.
fn waited_for_until_10() -> (Table, String) {
    let mut table = table();
    granted(ask(&mut table, request(&["a"], None, Some(10), false), 0));
    match ask(&mut table, request(&["a"], None, None, true), 4) {
        Answer::Queued(queued) => {
            assert_eq!(queued.next_due_ms, Some(6));
            (table, queued.ticket)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn time_that_passes_in_another_call_wakes_with_its_answer_or_in_the_next_poll() {
    let (mut table, waits) = waited_for_until_10();
    let other = vec![request(&["b"], None, None, false)];
    assert_eq!(table.exchange(Vec::new(), other, 10).woken, [waits]);
    // What an extension is answered has no place for it.
    let (mut table, waits) = waited_for_until_10();
    assert_eq!(table.extend(Vec::new(), 10), [""; 0]);
    let polled = table.poll(Vec::new(), 10);
    assert_eq!((polled.woken, polled.next_due_ms), (vec![waits], None));
}

#[test]
fn a_lease_that_lost_a_key_is_lost_and_keeps_the_rest_until_it_is_released() {
    let mut table = table();
    let both = granted(ask(&mut table, request(&["a", "b"], Some("x"), None, false), 0));
    let renewed = granted(ask(&mut table, request(&["a"], Some("x"), None, false), 0));
    let extension = Extension { token: both.token.clone(), ttl_ms: None };
    assert_eq!(table.extend(vec![extension], 0), std::slice::from_ref(&both.token));
    assert!(matches!(
        ask(&mut table, request(&["b"], Some("y"), None, false), 0),
        Answer::Refused(_)
    ));
    assert_eq!(release(&mut table, &both, 0).0, std::slice::from_ref(&both.token));
    granted(ask(&mut table, request(&["b"], Some("y"), None, false), 0));
    assert!(release(&mut table, &renewed, 0).0.is_empty());
}
