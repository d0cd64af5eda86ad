//! When what was tracked is handed over.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{Subject, event};

async fn a_second_after_the_first_one_a_batch_goes() {
    let subject = Subject::start().await;
    subject.analytics.track(event("a")).await.unwrap();
    subject.clock.advance(Duration::from_millis(999));
    subject.analytics.track(event("b")).await.unwrap();
    assert_eq!(subject.analytics.status()[0].waiting, 2);
    assert!(subject.lines().is_empty());
    subject.clock.advance(Duration::from_millis(1));
    subject.until_waiting(0).await;
    assert_eq!(subject.lines().len(), 2);
}

async fn a_full_batch_goes_without_the_clock() {
    let subject = Subject::start().await;
    subject.analytics.track_all((0..255).map(|n| event(n.to_string())).collect()).await.unwrap();
    assert_eq!(subject.analytics.status()[0].waiting, 255);
    subject.analytics.track(event("last")).await.unwrap();
    subject.until_waiting(0).await;
    assert_eq!(subject.lines().len(), 256);
}

async fn a_batch_of_many_bytes_goes_without_the_clock() {
    let subject = Subject::start().await;
    let properties = || {
        let text = format!("{{\"a\":\"{}\"}}", "x".repeat(60_000));
        stheno::JsonObject::parse(&text).unwrap()
    };
    for n in 0..5 {
        let large = event(n.to_string()).properties(properties());
        subject.analytics.track(large).await.unwrap();
    }
    subject.until_waiting(0).await;
    assert_eq!(subject.lines().len(), 5);
}

async fn sixty_four_callers_lose_nothing_and_each_keeps_its_order() {
    let subject = Subject::start().await;
    let callers = (0..64).map(|caller| {
        let analytics = subject.analytics.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                analytics.track(event(format!("{n}")).actor(format!("{caller}"))).await.unwrap();
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    subject.analytics.flush().await.unwrap();
    let lines = subject.lines();
    assert_eq!(lines.len(), 64 * 200);
    for caller in 0..64 {
        let actor = caller.to_string();
        let own: Vec<_> = lines
            .iter()
            .filter(|line| line["actor"] == actor)
            .map(|line| line["event"].as_str().unwrap().parse::<u64>().unwrap())
            .collect();
        assert_eq!(own, (0..200).collect::<Vec<_>>());
    }
}

async fn a_flush_of_nothing_is_fine() {
    let subject = Subject::start().await;
    subject.analytics.flush().await.unwrap();
    subject.analytics.track_all(vec![]).await.unwrap();
    subject.analytics.flush().await.unwrap();
    assert!(subject.lines().is_empty());
}

properties! {
    a_second_after_the_first_one_a_batch_goes,
    a_full_batch_goes_without_the_clock,
    a_batch_of_many_bytes_goes_without_the_clock,
    sixty_four_callers_lose_nothing_and_each_keeps_its_order,
    a_flush_of_nothing_is_fine,
}
