//! Subscriptions: made, found again, removed, and what they get from before
//! they were there.

use std::time::Duration;

use stheno::config::{ByteSize, MemoryLimit, ProviderConfig, Resolve};
use stheno::{ErrorKind, NewEvent, Subscription, Verdict};

use crate::{Subject, event, subscription};

async fn what_was_published_before_anybody_subscribed_is_kept_for_them(subject: Subject) {
    let first = subject.publish("order.placed").await;
    subject.publish("cart.made").await;
    let second = subject.publish("order.paid").await;
    subject.subscribe("orders", "order.*").await;
    let ids: Vec<_> =
        subject.pull("orders").await.into_iter().map(|delivery| delivery.event.id).collect();
    assert_eq!(ids, [first, second]);
    // The next one gets them too, and all that is new.
    subject.publish("order.sent").await;
    subject.subscribe("all", "*").await;
    assert_eq!(subject.handle("all").await, ["order.placed", "cart.made", "order.paid"]);
    subject.publish("cart.gone").await;
    assert_eq!(subject.handle("all").await, ["cart.gone"]);
}

async fn who_does_not_want_what_was_retained_gets_only_what_is_new(subject: Subject) {
    subject.publish("old").await;
    let fresh = Subscription { retained: false, ..subscription("fresh", "*") };
    subject.events.create_subscription(fresh).await.unwrap();
    assert!(subject.pull("fresh").await.is_empty());
    subject.publish("new").await;
    assert_eq!(subject.handle("fresh").await, ["new"]);
}

async fn a_retained_event_keeps_its_delay(subject: Subject) {
    subject.events.publish("later", &1).delay(Duration::from_secs(10)).await.unwrap();
    subject.subscribe("s", "*").await;
    assert!(subject.pull("s").await.is_empty());
    subject.pass(10_000);
    assert_eq!(subject.handle("s").await, ["later"]);
}

async fn the_same_subscription_again_changes_nothing(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.publish("waits").await;
    subject.publish("leased").await;
    let leased = subject.events.pull_now("s", 1, crate::LEASE).await.unwrap().deliveries;
    subject.subscribe("s", "*").await;
    assert_eq!(subject.counts("s").await, (1, 1, 0));
    subject.settle(&leased[0], Verdict::Handled).await;
    assert_eq!(subject.handle("s").await, ["leased"]);
}

async fn an_id_with_another_pattern_is_a_conflict_and_changes_nothing(subject: Subject) {
    subject.subscribe("s", "order.*").await;
    let other = subject.events.create_subscription(subscription("s", "cart.*")).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(subject.status("s").await.subscription, subscription("s", "order.*"));
}

async fn what_is_removed_is_gone_with_all_that_waited(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.subscribe("other", "*").await;
    subject.publish_all(["waits", "leased", "dead"].map(event)).await;
    let pulled = subject.events.pull_now("s", 2, crate::LEASE).await.unwrap().deliveries;
    subject.settle(&pulled[1], Verdict::Rejected("no".into())).await;
    assert_eq!(subject.counts("s").await, (1, 1, 1));
    subject.events.remove_subscription("s").await.unwrap();

    let gone = subject.events.pull_now("s", 1, crate::LEASE).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.message().contains("`s`"), "{gone}");
    let again = subject.events.remove_subscription("s").await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    let token = pulled[0].token.clone();
    let lost = subject.events.settle(vec![(token.clone(), Verdict::Handled)]).await.unwrap();
    assert_eq!(lost, [token]);
    assert!(subject.events.dead_letters(None, None, 10).await.unwrap().items.is_empty());
    assert_eq!(subject.counts("other").await, (3, 0, 0));
    // Made again it is a new one.
    subject.subscribe("s", "*").await;
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

async fn subscriptions_are_listed_by_id_with_what_they_hold(subject: Subject) {
    let terms = |id: &str, idle_ttl| Subscription { idle_ttl, ..subscription(id, "*") };
    for (id, idle_ttl) in [("b", None), ("c", Some(Duration::from_secs(60))), ("a", None)] {
        subject.events.create_subscription(terms(id, idle_ttl)).await.unwrap();
    }
    let listed = subject.events.subscriptions().await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|status| status.subscription).collect();
    assert_eq!(
        listed,
        [terms("a", None), terms("b", None), terms("c", Some(Duration::from_secs(60)))]
    );
}

async fn one_that_nobody_pulls_vanishes_after_its_idle_time(subject: Subject) {
    let idle =
        Subscription { idle_ttl: Some(Duration::from_secs(10)), ..subscription("idle", "*") };
    subject.events.create_subscription(idle).await.unwrap();
    subject.publish("waits").await;
    for _ in 0..5 {
        subject.pass(9_999);
        subject.pull("idle").await;
    }
    subject.pass(10_000);
    assert!(subject.events.subscriptions().await.unwrap().is_empty());
}

/// A provider whose state is in its memory dies when a body no longer fits
/// there; what its runtime had subscribed it is told again.
async fn subscriptions_survive_the_providers_death(subject: Subject) {
    let mut config =
        ProviderConfig::new(Resolve::File(stheno_test_support::guest(subject.provider.name)));
    config.limits.memory = MemoryLimit::new(ByteSize::mib(8)).unwrap();
    let subject = Subject::with(subject.provider, config).await.unwrap();
    subject.subscribe("pulled", "small.*").await;
    subject.subscribe("removed", "*").await;
    subject.events.remove_subscription("removed").await.unwrap();
    let (seen, mut handled) = tokio::sync::mpsc::unbounded_channel();
    subject
        .events
        .subscribe("small.*", "closure", move |event| {
            let seen = seen.clone();
            async move { Ok(seen.send(event.name)?) }
        })
        .await
        .unwrap();
    let large = || NewEvent::bytes("large", vec![1; stheno::MAX_DATA_BYTES]);
    let error = loop {
        if let Err(error) = subject.events.publish_all(vec![large()]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("limits.memory = \"8MiB\""), "{error}");

    subject.publish("small.one").await;
    assert_eq!(handled.recv().await.as_deref(), Some("small.one"));
    assert_eq!(subject.handle("pulled").await, ["small.one"]);
    let ids: Vec<_> = subject.events.subscriptions().await.unwrap();
    let ids: Vec<_> = ids.into_iter().map(|status| status.subscription.id).collect();
    assert_eq!(ids, ["closure", "pulled"]);
}

for_every_provider! {
    what_was_published_before_anybody_subscribed_is_kept_for_them,
    who_does_not_want_what_was_retained_gets_only_what_is_new,
    a_retained_event_keeps_its_delay,
    the_same_subscription_again_changes_nothing,
    an_id_with_another_pattern_is_a_conflict_and_changes_nothing,
    what_is_removed_is_gone_with_all_that_waited,
    subscriptions_are_listed_by_id_with_what_they_hold,
    one_that_nobody_pulls_vanishes_after_its_idle_time,
}
// It dies of holding too much, which a durable one would find again.
for_every_provider! {
    forgetful:
    subscriptions_survive_the_providers_death,
}
