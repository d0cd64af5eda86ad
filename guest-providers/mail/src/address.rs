//! Mail addresses, as far as they have to be taken apart.

use serde::Serialize;
use stheno_sdk::{Error, Result};

/// An address and who it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mailbox<'t> {
    /// `ada@example.com`.
    pub email: &'t str,
    /// `Ada`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'t str>,
}

/// Takes `ada@example.com` or `Ada <ada@example.com>` apart. Whether a domain has
/// such a mailbox is the service's to say.
///
/// # Errors
///
/// `invalid-argument` that names the argument.
pub fn mailbox<'t>(argument: &str, text: &'t str) -> Result<Mailbox<'t>> {
    let (name, email) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, email)) => (name.trim(), email),
        None => ("", text),
    };
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c);
    match email.rsplit_once('@') {
        Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !email.contains(odd) =>
        {
            Ok(Mailbox { email, name: (!name.is_empty()).then_some(name) })
        }
        _ => Err(Error::InvalidArgument(format!(
            "`{argument}`: {text:?} is no mail address; write \"ada@example.com\" or \
             \"Ada <ada@example.com>\""
        ))),
    }
}

/// The same for a list.
///
/// # Errors
///
/// As for [`mailbox`], naming the place in the list.
pub fn mailboxes<'t>(argument: &str, texts: &'t [String]) -> Result<Vec<Mailbox<'t>>> {
    let one = |(place, text): (usize, &'t String)| mailbox(&format!("{argument}[{place}]"), text);
    texts.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_taken_apart() {
        let read = |text| mailbox("to", text).map(|mailbox| (mailbox.email, mailbox.name)).ok();
        assert_eq!(read("ada@example.com"), Some(("ada@example.com", None)));
        assert_eq!(read("Ada B <ada@example.com>"), Some(("ada@example.com", Some("Ada B"))));
        assert_eq!(read("\"B, Ada\" <ada@example.com>"), Some(("ada@example.com", Some("B, Ada"))));
        assert_eq!(read("<ada@example.com>"), Some(("ada@example.com", None)));
        for none in
            ["", "ada", "@b", "a@", "a b@c", "a@b,c@d", "Ada <a@b", "a@b>", "a@b\r\nbcc:c@d"]
        {
            assert_eq!(read(none), None, "{none:?}");
        }
        let Err(Error::InvalidArgument(text)) = mailboxes("cc", &["a@b".into(), "x".into()]) else {
            panic!("x is no address")
        };
        assert!(text.starts_with("`cc[1]`"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_brings_down_the_reader(text in "[a@<> \"\\PC]{0,12}") {
            if let Ok(mailbox) = mailbox("to", &text) {
                prop_assert!(text.contains(mailbox.email) && mailbox.email.contains('@'));
            }
        }
    }
}
