//! Dead letters: listed, replayed, removed.

use stheno::{DeadLetter, ErrorKind, Events, NewEvent, Verdict};

use super::{Subject, failed, rejected};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, names, one};

pub(crate) const CASES: &[Case] = cases! {
    Events:
    "events.dead-letters.listed" =>
        "What was rejected or has used up its attempts is a dead letter, with its event, its attempts and the last reason." [with "dead-letters"],
        listed;
    "events.dead-letters.pages" =>
        "Dead letters are listed with the oldest first, each once whatever the size of the pages." [with "dead-letters"],
        pages;
    "events.dead-letters.one-subscription" =>
        "Dead letters are listed for one subscription if it is named; for one that does not exist it is `not-found`." [with "dead-letters"],
        one_subscription;
    "events.dead-letters.replay" =>
        "A replayed dead letter is due again for its subscription with all its attempts, and is no longer dead." [with "dead-letters"],
        replay;
    "events.dead-letters.remove" =>
        "A removed dead letter is forgotten, and no other is; unknown ids count for nothing." [with "dead-letters"],
        remove;
};

impl Subject {
    /// Has these events given up by a subscription, one after the other.
    async fn bury(&self, subscription: &str, names: &[&str]) -> Outcome {
        for name in names {
            self.publish(&[name]).await?;
            let delivery = self.pull_one(subscription).await?;
            self.settle(&delivery, rejected("wrong")).await?;
            self.pass(1);
        }
        Ok(())
    }

    async fn letters(&self, subscription: &str) -> Result<Vec<DeadLetter>, Fault> {
        let page = self.api.dead_letters(Some(&self.own(subscription)), None, super::ALL).await?;
        equal("where the list of a few goes on", page.next, None)?;
        Ok(page.items)
    }

    fn named(&self, letters: &[DeadLetter]) -> Vec<String> {
        letters.iter().map(|letter| self.short(&letter.event.name)).collect()
    }
}

fn ids(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| letter.id.clone()).collect()
}

async fn listed(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let metadata = vec![("k".to_owned(), "v".to_owned())];
    let event = NewEvent { attempts: Some(2), metadata: metadata.clone(), ..s.event("failed") };
    let id = s.publish_one(event).await?;
    for reason in ["first", "日本 \"why\""] {
        let delivery = s.pull_one("s").await?;
        s.settle(&delivery, Verdict::Failed(reason.to_owned())).await?;
        s.pass(100_000_000);
    }
    s.gets("s", &[]).await?;
    s.counts("s", (0, 0, 1)).await?;
    let letter = one("dead letters", s.letters("s").await?)?;
    equal("the reason", letter.reason.as_str(), "日本 \"why\"")?;
    equal("the attempts", letter.event.attempt, 2)?;
    equal("the event's id", letter.event.id, id)?;
    equal("the data", letter.event.data, b"failed")?;
    equal("the metadata", letter.event.metadata, metadata)?;
    s.bury("s", &["rejected"]).await?;
    equal("the dead letters", s.named(&s.letters("s").await?), ["failed", "rejected"])
}

async fn pages(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    let all = ["a", "b", "c", "d", "e"];
    s.bury("s", &all).await?;
    let id = s.own("s");
    for size in 1..=6 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = s.api.dead_letters(Some(&id), after.as_deref(), size).await?;
            crate::check::holds(page.items.len() <= size as usize, || {
                format!("a page of {size} has {}", page.items.len())
            })?;
            seen.extend(page.items);
            after = page.next;
            if after.is_none() || seen.len() > all.len() {
                break;
            }
        }
        equal(&format!("pages of {size}"), s.named(&seen), all)?;
    }
    Ok(())
}

async fn one_subscription(s: Subject) -> Outcome {
    s.subscribe("x", "x*").await?;
    s.subscribe("y", "y*").await?;
    s.bury("x", &["x1"]).await?;
    s.bury("y", &["y1"]).await?;
    s.bury("x", &["x2"]).await?;
    equal("those of x", s.named(&s.letters("x").await?), ["x1", "x2"])?;
    equal("those of y", s.named(&s.letters("y").await?), ["y1"])?;
    let id = s.own("nobody");
    let unknown = s.api.dead_letters(Some(&id), None, 10).await;
    names("an unknown subscription", unknown, ErrorKind::NotFound, &id)
}

async fn replay(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.subscribe("other", "*").await?;
    s.publish_one(NewEvent { attempts: Some(2), ..s.event("e") }).await?;
    let first = s.pull_one("s").await?;
    s.settle(&first, rejected("wrong")).await?;
    s.gets("other", &["e"]).await?;
    let letters = ids(&s.letters("s").await?);
    equal("how many were replayed", s.api.replay_dead_letters(letters.clone()).await?, 1)?;
    equal("what is dead after that", s.letters("s").await?, [])?;
    s.gets("other", &[]).await?;
    let again = s.pull_one("s").await?;
    let found = (again.event.attempt, again.event.attempts, again.event.id.as_str());
    equal("attempt, attempts and id", found, (1, 2, first.event.id.as_str()))?;
    equal("how many are replayed twice", s.api.replay_dead_letters(letters).await?, 0)?;
    s.settle(&again, failed()).await?;
    s.pass(100_000_000);
    s.gets("s", &["e"]).await
}

async fn remove(s: Subject) -> Outcome {
    s.subscribe("s", "*").await?;
    s.bury("s", &["a", "b", "c"]).await?;
    let letters = s.letters("s").await?;
    let mut some: Vec<_> = letters
        .iter()
        .filter(|it| s.short(&it.event.name) != "b")
        .map(|it| it.id.clone())
        .collect();
    some.push("no such letter".to_owned());
    equal("how many were removed", s.api.remove_dead_letters(some.clone()).await?, 2)?;
    equal("what is left", s.named(&s.letters("s").await?), ["b"])?;
    equal("how many are removed twice", s.api.remove_dead_letters(some.clone()).await?, 0)?;
    equal("how many removed ones are replayed", s.api.replay_dead_letters(some).await?, 0)?;
    s.counts("s", (0, 0, 1)).await?;
    s.gets("s", &[]).await
}
