//! As whom requests are signed.

use super::flag;
use crate::Secret;
use crate::decode::{Decoder, Node, Section, Why};

pub(super) const ID: &str = "access_key_id";
pub(super) const SECRET: &str = "secret_access_key";
pub(super) const SESSION: &str = "session_token";
pub(super) const CHAIN: &str = "credential_chain";

const EXAMPLE: &str = r#"access_key_id = "${S3_KEY}", secret_access_key = "${S3_SECRET}""#;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectsCredentials {
    /// From the config.
    Keys(ObjectsKeys),
    /// From where Amazon's own tools look: variables of the environment, files
    /// in the home folder, the container, the machine. They are renewed as they
    /// expire.
    Chain,
}

/// A pair of keys, and the token that makes them temporary ones.
#[derive(Clone, Debug)]
pub struct ObjectsKeys {
    /// The public half. It is not shown all the same.
    pub access_key_id: Secret,
    /// The secret half.
    pub secret_access_key: Secret,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
}

impl PartialEq for ObjectsKeys {
    fn eq(&self, other: &Self) -> bool {
        let same = |one: &Secret, other: &Secret| one.matches(other.expose_secret());
        let same_token = match (&self.session_token, &other.session_token) {
            (None, None) => true,
            (Some(one), Some(other)) => same(one, other),
            _ => false,
        };
        same_token
            && same(&self.access_key_id, &other.access_key_id)
            && same(&self.secret_access_key, &other.secret_access_key)
    }
}

impl Eq for ObjectsKeys {}

pub(super) fn decode(
    decoder: &mut Decoder<'_>,
    node: &Node<'_>,
    section: &Section<'_>,
) -> Option<ObjectsCredentials> {
    let chain = flag(decoder, section, CHAIN)?;
    let written = [ID, SECRET, SESSION].into_iter().find_map(|key| section.get(key));
    match written {
        None if chain => return Some(ObjectsCredentials::Chain),
        Some(key) if chain => {
            decoder.fault(
                &key,
                format!("`{CHAIN}` looks for keys elsewhere, and here is one"),
                format!("leave out one of the two: the keys, or {CHAIN} = true"),
            );
            return None;
        }
        _ => {}
    }
    let mut whole = true;
    for key in [ID, SECRET] {
        if section.get(key).is_none() {
            decoder.fault(
                node,
                format!("the binding has no `{key}`"),
                format!(
                    "write {EXAMPLE}; or {CHAIN} = true, to take the credentials of this process"
                ),
            );
            whole = false;
        }
    }
    let mut secret = |key: &str| {
        section.get(key).map(|node| {
            let example = format!("{key} = \"${{S3_SECRET}}\"");
            decoder.secret(&node, "a key", &example, |text| {
                // What a header can carry unchanged.
                if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    Ok(Secret::new(text))
                } else {
                    Err(Why::reason("it must have visible ASCII characters only, and some"))
                }
            })
        })
    };
    let (id, key, token) = (secret(ID), secret(SECRET), secret(SESSION));
    let session_token = match token {
        None => None,
        Some(token) => Some(token?),
    };
    let keys = ObjectsKeys { access_key_id: id??, secret_access_key: key??, session_token };
    whole.then_some(ObjectsCredentials::Keys(keys))
}
