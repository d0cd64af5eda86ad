//! The mail room: a letter for each order, with the invoice or with an apology.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stheno::{Attachment, Content, Disposition, Event, NewNotification};
use tokio::io::AsyncReadExt;

use super::{Office, Trouble};
use crate::sale::{CANCELLED, INVOICED, Invoice, REASON, Sale, money};

pub(super) const RECEIPTS: &str = "mail-receipts";
pub(super) const RECEIPTS_PATTERN: &str = INVOICED;
pub(super) const REGRETS: &str = "mail-regrets";
pub(super) const REGRETS_PATTERN: &str = CANCELLED;

/// With every so many orders the mail room falls over between sending the letter
/// and saying so, and gets the event once more.
const FALTERS_EVERY: u32 = 50;
/// A domain that some customers mean to be `example.com`.
pub(crate) const MISTYPED: &str = "exmaple.com";
/// The domains that take mail.
const DOMAINS: [&str; 1] = ["example.com"];

/// What customers mean when they write what does not exist.
#[derive(Default)]
pub(crate) struct AddressBook(Mutex<BTreeMap<String, String>>);

impl AddressBook {
    /// From now on `right` is written for the domain `wrong`.
    pub(crate) fn correct(&self, wrong: &str, right: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(wrong.to_owned(), right.to_owned());
    }

    fn address(&self, customer: &str) -> Result<String, Trouble> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, domain) = customer.split_once('@').unwrap_or((customer, ""));
        let domain = known.get(domain).map_or(domain, String::as_str);
        if DOMAINS.contains(&domain) {
            return Ok(format!("{name}@{domain}"));
        }
        Err(Trouble::Never(format!("nobody takes mail at {domain:?}")))
    }
}

pub(super) async fn receipt(office: Office, event: Event, invoice: Invoice) -> Result<(), Trouble> {
    let to = office.addresses.address(&invoice.customer)?;
    let content = Content {
        subject: Some(format!("Your order {} is on its way", invoice.order)),
        text: Some("Thank you. The invoice is attached.".into()),
        ..Content::default()
    };
    let mut letter = NewNotification::content("email", to, content);
    letter.attachments = vec![Attachment {
        name: format!("invoice-{}.txt", invoice.order),
        content_type: Some("text/plain".into()),
        disposition: Disposition::Attachment(None),
        bytes: read(&office, &invoice.key).await?,
    }];
    send(office, event, invoice.order, "receipt", letter).await
}

pub(super) async fn regret(office: Office, event: Event, sale: Sale) -> Result<(), Trouble> {
    let to = office.addresses.address(&sale.customer)?;
    let why = event.metadata.iter().find(|(key, _)| key == REASON).map(|(_, why)| why.as_str());
    let content = Content {
        subject: Some(format!("About your order {}", sale.order)),
        text: Some(format!(
            "We are sorry, it was cancelled: {}. You have not paid the {}.",
            why.unwrap_or("we cannot say why"),
            money(sale.cents)
        )),
        ..Content::default()
    };
    let letter = NewNotification::content("email", to, content);
    send(office, event, sale.order, "regret", letter).await
}

/// Sends a letter once, however often it is asked to.
async fn send(
    office: Office,
    event: Event,
    order: u32,
    kind: &str,
    letter: NewNotification,
) -> Result<(), Trouble> {
    let key = office.day.name(kind, order);
    let letter = letter.key(key).label("day", office.day.as_str()).label("kind", kind);
    office.meters.notifications.time(office.runtime.notifications().send(letter)).await?;
    if event.attempt == 1 && order.is_multiple_of(FALTERS_EVERY) {
        return Err(Trouble::Later("the mail room fell over after the letter was sent".into()));
    }
    Ok(())
}

async fn read(office: &Office, key: &str) -> Result<Vec<u8>, Trouble> {
    let read = async {
        let mut bytes = Vec::new();
        office.runtime.files().get(key).await?.read_to_end(&mut bytes).await?;
        Ok(bytes)
    };
    office.meters.files.time(read).await
}
