//! Many callers at the same time.

use stheno::{NotificationStatus, Notifications};

use super::Subject;
use crate::case::Case;
use crate::check::{CALLERS, Outcome, callers, equal};

pub(crate) const CASES: &[Case] = cases! {
    Notifications:
    "notifications.callers.each" => "What 64 callers send at the same time goes out, each message once.", each;
    "notifications.callers.one-key" =>
        "64 callers at the same time with one idempotency key send once, and all get its record.", one_key;
};

async fn each(s: Subject) -> Outcome {
    callers(|n| {
        let (api, mail) = (s.api.clone(), s.mail(&format!("a{n}")));
        async move {
            let sent = api.send(mail).await?;
            equal("the status", sent.status, NotificationStatus::Success)
        }
    })
    .await?;
    for n in 0..CALLERS {
        s.went_out(&format!("a{n}"), 1).await?;
    }
    Ok(())
}

async fn one_key(s: Subject) -> Outcome {
    let mail = s.mail("a").key(s.own("key"));
    callers(|_| {
        let (api, mail) = (s.api.clone(), mail.clone());
        async move {
            let sent = api.send(mail).await?;
            equal("the status", sent.status, NotificationStatus::Success)
        }
    })
    .await?;
    s.went_out("a", 1).await
}
