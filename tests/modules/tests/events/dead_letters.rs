//! Dead letters: listed, replayed, removed.

use stheno::{DeadLetter, ErrorKind, NewEvent, Verdict};

use crate::{Subject, event};

impl Subject {
    /// Has these events given up by the subscription, one after the other.
    async fn bury(&self, subscription: &str, names: &[&str]) {
        for name in names {
            self.publish_all([NewEvent::bytes(*name, name.as_bytes())]).await;
            let delivery = self.pull_one(subscription).await;
            self.settle(&delivery, Verdict::Rejected(format!("{name} is wrong"))).await;
            self.pass(1);
        }
    }

    async fn letters(&self, subscription: Option<&str>) -> Vec<DeadLetter> {
        self.events.dead_letters(subscription, None, 1_000).await.unwrap().items
    }
}

fn names(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.event.name.as_str()).collect()
}

fn ids(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| letter.id.clone()).collect()
}

async fn a_dead_letter_says_what_it_was_and_why_it_died(subject: Subject) {
    subject.subscribe("s", "*").await;
    let sent = NewEvent {
        metadata: vec![("k".into(), "v".into())],
        priority: Some(3),
        ..NewEvent::bytes("e", "body")
    };
    let id = subject.publish_all([sent]).await.remove(0);
    let delivery = subject.pull_one("s").await;
    subject.pass(5);
    subject.settle(&delivery, Verdict::Rejected("日本 \"why\"\n".into())).await;
    let letters = subject.letters(None).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.subscription.as_str(), letter.reason.as_str()), ("s", "日本 \"why\"\n"));
    assert_eq!((&letter.event.id, letter.event.name.as_str()), (&id, "e"));
    assert_eq!(letter.event.data, b"body");
    assert_eq!(letter.event.metadata, [("k".to_owned(), "v".to_owned())]);
    assert_eq!((letter.event.priority, letter.event.attempt), (3, 1));
    let lived = letter.died.duration_since(letter.event.published).unwrap();
    assert_eq!(lived.as_millis(), 5);
}

async fn they_are_listed_oldest_first_page_by_page(subject: Subject) {
    subject.subscribe("s", "*").await;
    let all = ["a", "b", "c", "d", "e"];
    subject.bury("s", &all).await;
    for size in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = subject.events.dead_letters(None, after.as_deref(), size).await.unwrap();
            assert!(page.items.len() <= size as usize);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(names(&seen), all, "pages of {size}");
    }
}

async fn they_are_listed_for_one_subscription_if_wanted(subject: Subject) {
    subject.subscribe("x", "x.*").await;
    subject.subscribe("y", "y.*").await;
    subject.bury("x", &["x.1"]).await;
    subject.bury("y", &["y.1", "y.2"]).await;
    subject.bury("x", &["x.2"]).await;
    assert_eq!(names(&subject.letters(None).await), ["x.1", "y.1", "y.2", "x.2"]);
    assert_eq!(names(&subject.letters(Some("x")).await), ["x.1", "x.2"]);
    assert_eq!(names(&subject.letters(Some("y")).await), ["y.1", "y.2"]);
    let none = subject.events.dead_letters(Some("z"), None, 10).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}

async fn a_replayed_one_is_due_at_once_with_all_its_attempts(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.subscribe("other", "*").await;
    subject.publish_all([NewEvent { attempts: Some(4), ..event("e") }]).await;
    let delivery = subject.pull_one("s").await;
    subject.settle(&delivery, Verdict::Rejected("wrong".into())).await;
    assert_eq!(subject.handle("other").await, ["e"]);
    let letters = ids(&subject.letters(None).await);
    assert_eq!(subject.events.replay_dead_letters(letters.clone()).await.unwrap(), 1);
    assert!(subject.letters(None).await.is_empty());
    let again = subject.pull_one("s").await;
    assert_eq!((again.event.attempt, again.event.attempts), (1, 4));
    assert_eq!(again.event.id, delivery.event.id);
    // It is nobody else's, and it is there once.
    assert!(subject.pull("other").await.is_empty());
    assert_eq!(subject.events.replay_dead_letters(letters).await.unwrap(), 0);
    subject.settle(&again, Verdict::Handled).await;
    assert_eq!(subject.counts("s").await, (0, 0, 0));
}

async fn only_those_named_are_replayed_or_removed(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.bury("s", &["a", "b", "c", "d"]).await;
    let all = ids(&subject.letters(None).await);
    let pick = |at: usize| all[at].clone();
    let some = vec![pick(0), pick(2), pick(0), "none".to_owned()];
    assert_eq!(subject.events.replay_dead_letters(some).await.unwrap(), 2);
    assert_eq!(subject.handle("s").await, ["a", "c"]);
    assert_eq!(subject.events.remove_dead_letters(vec![pick(3), pick(0)]).await.unwrap(), 1);
    assert_eq!(names(&subject.letters(None).await), ["b"]);
    assert_eq!(subject.counts("s").await, (0, 0, 1));
    assert_eq!(subject.events.remove_dead_letters(Vec::new()).await.unwrap(), 0);
}

async fn whoever_waits_is_woken_by_a_replay(subject: Subject) {
    subject.subscribe("s", "*").await;
    subject.bury("s", &["e"]).await;
    let letters = ids(&subject.letters(None).await);
    let events = subject.events.clone();
    let waits = tokio::spawn(async move {
        let minute = std::time::Duration::from_secs(60);
        events.pull("s", 1, minute, minute).await.unwrap()
    });
    tokio::task::yield_now().await;
    subject.events.replay_dead_letters(letters).await.unwrap();
    assert_eq!(waits.await.unwrap().len(), 1);
}

for_every_provider! {
    a_dead_letter_says_what_it_was_and_why_it_died,
    they_are_listed_oldest_first_page_by_page,
    they_are_listed_for_one_subscription_if_wanted,
    a_replayed_one_is_due_at_once_with_all_its_attempts,
    only_those_named_are_replayed_or_removed,
    whoever_waits_is_woken_by_a_replay,
}
