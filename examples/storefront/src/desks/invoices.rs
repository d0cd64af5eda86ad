//! The invoices: a file for each order.

use std::fmt::Write as _;

use stheno::{Event, NewFile};

use super::{Office, Trouble};
use crate::sale::{INVOICED, Invoice, PLACED, Sale, event, money};

pub(super) const ID: &str = "invoices";
pub(super) const PATTERN: &str = PLACED;

pub(super) async fn write(office: Office, _: Event, sale: Sale) -> Result<(), Trouble> {
    let known = office.books.borrow().invoices.get(&sale.order).cloned();
    // One that is there was written by an attempt that failed afterwards.
    let key = match known {
        Some(key) => key,
        None => {
            let key = store(&office, &sale).await?;
            office.books.send_modify(|books| {
                books.invoices.insert(sale.order, key.clone());
            });
            key
        }
    };
    let invoice = Invoice { order: sale.order, customer: sale.customer, key };
    let written = event(&office.day, INVOICED, &invoice)?;
    office.meters.events.time(office.events().publish_all(vec![written])).await?;
    Ok(())
}

async fn store(office: &Office, sale: &Sale) -> Result<String, Trouble> {
    let file = NewFile::new(format!("{}{}.txt", office.day.invoices(), sale.order))
        .content_type("text/plain; charset=utf-8")
        .metadata("order", sale.order.to_string())
        .metadata("cents", sale.cents.to_string());
    let stored = office.runtime.files().put_bytes(file, text(sale));
    Ok(office.meters.files.time(stored).await?.key)
}

fn text(sale: &Sale) -> String {
    let mut text = format!("INVOICE {}\nto {}\n\n", sale.order, sale.customer);
    for line in &sale.lines {
        let (each, sum) = (money(line.cents), money(line.cents * u64::from(line.units)));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<24} {:>3} x {each:>8} {sum:>10}", line.title, line.units);
    }
    let _ = writeln!(text, "{:>49}", money(sale.cents));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sale::Line;

    #[test]
    fn an_invoice_ends_with_the_sum() {
        let line = |title: &str, units, cents| Line {
            product: String::new(),
            title: title.into(),
            units,
            cents,
        };
        let lines = vec![line("Oak bench", 2, 4_995), line("Clay jug", 1, 905)];
        let sale = Sale { order: 7, customer: "ada@example.com".into(), lines, cents: 10_895 };
        assert_eq!(
            text(&sale),
            "INVOICE 7\nto ada@example.com\n\n\
             Oak bench                  2 x    49.95      99.90\n\
             Clay jug                   1 x     9.05       9.05\n\
             \u{20}                                          108.95\n"
        );
    }
}
