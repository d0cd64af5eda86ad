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
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c);
    match (plain(name), email.split_once('@')) {
        (Some(name), Some((local, domain)))
            if !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !email.contains(odd) =>
        {
            Ok(Mailbox { email, name: (!name.is_empty()).then_some(name) })
        }
        _ => Err(Error::InvalidArgument(format!(
            "`{argument}`: {text:?} is no mail address; write \"ada@example.com\" or \
             \"Ada <ada@example.com>\""
        ))),
    }
}

/// A name without its quotes; none if it could be read as more than a name. A
/// service is handed the text as it is, and would find a second address in it.
fn plain(name: &str) -> Option<&str> {
    if name.contains(char::is_control) {
        return None;
    }
    let Some(quoted) = name.strip_prefix('"') else {
        return (!name.contains(['<', '>', ',', ';', '@', '"'])).then_some(name);
    };
    let inner = quoted.strip_suffix('"')?;
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            // What it escapes is there, or it escapes the quote at the end.
            '\\' => drop(characters.next()?),
            '"' => return None,
            _ => {}
        }
    }
    Some(inner)
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

    #[test]
    fn one_argument_is_one_address() {
        for several in [
            "Ada <a@b.com>, Eve <eve@evil.com>",
            "Ada <a@b.com>; Eve <eve@evil.com>",
            "eve@evil.com, Ada <a@b.com>",
            "eve@evil.com <a@b.com>",
            "Eve <eve@evil.com> <a@b.com>",
            "Ada, Eve <a@b.com>",
            "Group: eve@evil.com; <a@b.com>",
            "\"Ada\" <eve@evil.com>, \"Ada\" <a@b.com>",
            "\"Ada\" <eve@evil.com>, Ada <a@b.com>",
            "Ada <eve@evil.com>, \"Ada\" <a@b.com>",
            // A quote that is escaped ends nothing, one behind a backslash that is
            // escaped does.
            "\"Ada\\\\\" <eve@evil.com>, \"Ada\" <a@b.com>",
            "\"Ada\\\" <a@b.com>",
            "\" <a@b.com>",
            "Ada\" <a@b.com>",
            "Ada\r\nbcc: eve <a@b.com>",
            "a@b.com@evil.com",
        ] {
            assert!(mailbox("to", several).is_err(), "{several:?}");
        }
        let quoted = mailbox("to", "\"Ada, \\\"B\\\" <x@y>; C\\\\\" <a@b.com>").unwrap();
        assert_eq!(quoted.name, Some("Ada, \\\"B\\\" <x@y>; C\\\\"));
        assert_eq!(mailbox("to", "\"\" <a@b.com>").unwrap().name, None);
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
