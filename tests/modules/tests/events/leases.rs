//! Leases: what is neither settled nor extended in time comes again.

use std::time::Duration;

use stheno::Verdict;

use crate::{LEASE, Subject, failed};

async fn a_lease_that_runs_out_delivers_again(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    let first = subject.pull_one("s").await;
    subject.pass(29_999);
    assert!(subject.pull("s").await.is_empty());
    subject.pass(1);
    let second = subject.pull_one("s").await;
    assert_eq!((&second.event.id, second.event.attempt), (&first.event.id, 2));
    // The first one comes too late, and changes nothing.
    let lost = subject.events.settle(vec![(first.token.clone(), failed("late"))]).await.unwrap();
    assert_eq!(lost, [first.token]);
    assert_eq!(subject.counts("s").await, (0, 1, 0));
    subject.settle(&second, Verdict::Handled).await;
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

async fn who_comes_at_the_last_moment_is_in_time_and_after_it_is_not(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    let first = subject.pull_one("s").await;
    subject.pass(30_000);
    let lost = subject.events.settle(vec![(first.token.clone(), Verdict::Handled)]).await.unwrap();
    assert_eq!(lost, [first.token]);
    let second = subject.pull_one("s").await;
    subject.pass(29_999);
    subject.settle(&second, Verdict::Handled).await;
    subject.pass(100_000);
    assert!(subject.pull("s").await.is_empty());
}

async fn an_extended_lease_holds_from_now(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("kept").await;
    subject.publish("let go").await;
    let pulled = subject.pull("s").await;
    let kept = vec![pulled[0].token.clone()];
    for _ in 0..5 {
        subject.pass(29_999);
        assert!(subject.events.extend(kept.clone(), LEASE).await.unwrap().is_empty());
    }
    // One lease long ended meanwhile.
    assert_eq!(subject.handle("s").await, ["let go"]);
    subject.settle(&pulled[0], Verdict::Handled).await;
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

async fn a_lease_can_be_shortened(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("e").await;
    let token = subject.pull_one("s").await.token;
    let moment = Duration::from_millis(1);
    assert!(subject.events.extend(vec![token], moment).await.unwrap().is_empty());
    assert!(subject.pull("s").await.is_empty());
    subject.pass(1);
    assert_eq!(subject.pull("s").await.len(), 1);
}

async fn what_is_no_longer_leased_cannot_be_extended(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("expired").await;
    let expired = subject.pull_one("s").await.token;
    subject.pass(30_000);
    subject.publish("settled").await;
    let again = subject.pull("s").await;
    for delivery in &again {
        subject.settle(delivery, Verdict::Handled).await;
    }
    let tokens = vec![expired, again[0].token.clone(), again[1].token.clone(), "none".into()];
    assert_eq!(subject.events.extend(tokens.clone(), LEASE).await.unwrap(), tokens);
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

async fn a_lease_that_runs_out_at_the_last_attempt_is_a_dead_letter(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.events.publish("e", &1).attempts(2).await.unwrap();
    for _ in 0..2 {
        subject.pull_one("s").await;
        subject.pass(30_000);
    }
    assert!(subject.pull("s").await.is_empty());
    assert_eq!(subject.counts("s").await, (0, 0, 1));
}

async fn each_delivery_has_a_lease_of_its_own(subject: Subject) {
    subject.subscribe("s", "*").await;
    for lease in [10, 30, 20] {
        subject.publish(&format!("e{lease}")).await;
        let lease = Duration::from_millis(lease);
        assert_eq!(subject.events.pull_now("s", 1, lease).await.unwrap().deliveries.len(), 1);
    }
    for lease in [10, 20, 30] {
        subject.pass(10);
        assert_eq!(subject.handle("s").await, [format!("e{lease}")]);
    }
}

for_every_provider! {
    a_lease_that_runs_out_delivers_again,
    who_comes_at_the_last_moment_is_in_time_and_after_it_is_not,
    an_extended_lease_holds_from_now,
    a_lease_can_be_shortened,
    what_is_no_longer_leased_cannot_be_extended,
    a_lease_that_runs_out_at_the_last_attempt_is_a_dead_letter,
    each_delivery_has_a_lease_of_its_own,
}
