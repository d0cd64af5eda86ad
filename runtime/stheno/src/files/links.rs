//! Links to files that this host serves itself.
//!
//! A link carries what it allows (method, store, key, when it ends, and for an upload
//! the whole description) and an HMAC-SHA-256 over all of that. Nothing is kept
//! about it anywhere: whoever has the secret can check it. The secret is the
//! host's: it is made at the start or comes from the config, and neither a
//! provider nor a log gets to see it. Only `Files` makes links, after its
//! provider agreed, so no other provider can have one made.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use stheno_config::ServerConfig;
use stheno_engine::Clock;

use super::NewFile;
use crate::{Error, ErrorKind};

/// What is signed begins with this, so that no other use of the secret can give
/// a signature that fits.
const PURPOSE: &[u8] = b"stheno file link 2\n";
/// Beyond what any link has.
const TOKEN_BYTES: usize = 128 * 1024;
/// Unreserved characters stay; `/` parts segments and stays too.
const SEGMENTS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What links are made with: a secret, and by which URL the server is known.
#[derive(Clone)]
pub(crate) struct LinkKeys {
    secret: Vec<u8>,
    base: String,
    /// Whether the config says so, and not just the address.
    is_said: bool,
}

impl LinkKeys {
    /// What the config says; a secret is made where it says nothing.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub(crate) fn new(server: &ServerConfig) -> Result<Self, getrandom::Error> {
        let secret = match server.link_secret() {
            Some(secret) => secret.expose_secret().as_bytes().to_vec(),
            None => {
                let mut secret = vec![0; 32];
                getrandom::fill(&mut secret)?;
                secret
            }
        };
        let said = server.public_url().map(|url| url.as_str().to_owned());
        let is_said = said.is_some();
        let base = said.unwrap_or_else(|| format!("http://{}", server.listen()));
        Ok(Self { secret, base, is_said })
    }
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKeys").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What the bearer of a link may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkUse {
    /// Read this file.
    Read {
        /// The store that it is in.
        store: String,
        /// Its key.
        key: String,
    },
    /// Upload this file.
    Write {
        /// The store that it goes to.
        store: String,
        /// The key that was kept for it.
        key: String,
        /// How it was described when the link was made.
        file: NewFile,
    },
}

/// What is signed.
#[derive(Serialize, Deserialize)]
struct Claims {
    /// `GET` (and HEAD) or `PUT`.
    method: String,
    store: String,
    key: String,
    /// When it ends, in milliseconds since 1970.
    expires: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<NewFile>,
}

pub(super) struct Links {
    secret: Vec<u8>,
    base: RwLock<String>,
    is_said: bool,
    clock: Clock,
}

fn refused() -> Error {
    Error::new(ErrorKind::Denied, "the link is not genuine, or has expired")
}

impl Links {
    pub(super) fn new(keys: LinkKeys, clock: Clock) -> Self {
        let LinkKeys { secret, base, is_said } = keys;
        Self { secret, base: RwLock::new(base), is_said, clock }
    }

    pub(super) fn served_at(&self, base: &str) {
        if !self.is_said {
            base.clone_into(&mut self.base.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn base(&self) -> String {
        self.base.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The plain URL of a public file of this store; of the default one if none
    /// is named.
    pub(super) fn public(&self, store: Option<&str>, key: &str) -> String {
        let (base, key) = (self.base(), utf8_percent_encode(key, SEGMENTS));
        match store {
            None => format!("{base}/files/{key}"),
            Some(store) => format!("{base}/stores/{store}/{key}"),
        }
    }

    pub(super) fn read(&self, store: &str, key: String, expires_ms: u64) -> Result<String, Error> {
        self.url("GET", store, key, None, expires_ms)
    }

    pub(super) fn write(
        &self,
        store: &str,
        key: String,
        file: NewFile,
        expires_ms: u64,
    ) -> Result<String, Error> {
        self.url("PUT", store, key, Some(file), expires_ms)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.unix().as_millis()).unwrap_or(u64::MAX)
    }

    fn mac(&self, claims: &str) -> Result<Hmac<Sha256>, Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).map_err(|_| refused())?;
        mac.update(PURPOSE);
        mac.update(claims.as_bytes());
        Ok(mac)
    }

    fn url(
        &self,
        method: &str,
        store: &str,
        key: String,
        file: Option<NewFile>,
        expires_ms: u64,
    ) -> Result<String, Error> {
        let expires = self.now_ms().saturating_add(expires_ms);
        let (method, store) = (method.to_owned(), store.to_owned());
        let claims = Claims { method, store, key, expires, file };
        let claims = serde_json::to_vec(&claims)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("a link: {error}")))?;
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
        let mac = self.mac(&claims)?.finalize().into_bytes();
        let mac = BASE64_URL_SAFE_NO_PAD.encode(mac);
        Ok(format!("{}/v1/files/link?token={claims}.{mac}", self.base()))
    }

    pub(super) fn redeem(&self, token: &str) -> Result<LinkUse, Error> {
        if token.len() > TOKEN_BYTES {
            return Err(refused());
        }
        let (claims, mac) = token.split_once('.').ok_or_else(refused)?;
        let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).map_err(|_| refused())?;
        self.mac(claims)?.verify_slice(&mac).map_err(|_| refused())?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).map_err(|_| refused())?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| refused())?;
        if self.now_ms() >= claims.expires {
            return Err(refused());
        }
        let Claims { method, store, key, file, .. } = claims;
        match (method.as_str(), file) {
            ("GET", None) => Ok(LinkUse::Read { store, key }),
            ("PUT", Some(file)) => Ok(LinkUse::Write { store, key, file }),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stheno_engine::ManualClock;

    use super::*;

    fn links(secret: u8) -> (Links, ManualClock) {
        let (clock, hand) = Clock::manual();
        let base = "https://example.com".to_owned();
        (Links::new(LinkKeys { secret: vec![secret; 32], base, is_said: true }, clock), hand)
    }

    fn token(url: &str) -> &str {
        url.strip_prefix("https://example.com/v1/files/link?token=").unwrap()
    }

    #[test]
    fn a_link_allows_what_it_was_made_for_until_it_expires() {
        let (links, hand) = links(1);
        let file = NewFile::new("a/b c.txt").public().metadata("k", "v");
        let read = links.read("a", "a/b c.txt".into(), 2_000).unwrap();
        let write = links.write("b", "k".into(), file.clone(), 3_000).unwrap();
        let (store, key) = ("a".to_owned(), "a/b c.txt".to_owned());
        assert_eq!(links.redeem(token(&read)).unwrap(), LinkUse::Read { store, key });
        let (store, key) = ("b".to_owned(), "k".to_owned());
        assert_eq!(links.redeem(token(&write)).unwrap(), LinkUse::Write { store, key, file });
        hand.advance(Duration::from_millis(1_999));
        assert!(links.redeem(token(&read)).is_ok());
        hand.advance(Duration::from_millis(1));
        assert_eq!(links.redeem(token(&read)).unwrap_err().kind(), ErrorKind::Denied);
        assert!(links.redeem(token(&write)).is_ok());
    }

    #[test]
    fn no_byte_of_a_link_can_be_changed() {
        let (links, _hand) = links(1);
        let url = links.read("a", "secret.txt".into(), 60_000).unwrap();
        let token = token(&url);
        for at in 0..token.len() {
            for other in ['A', 'B', 'w', '.', '-'] {
                let mut changed = token.to_owned();
                changed.replace_range(at..=at, &other.to_string());
                if changed != token {
                    assert!(links.redeem(&changed).is_err(), "{at} {other}");
                }
            }
            assert!(links.redeem(&token[..at]).is_err(), "{at}");
        }
        for more in [format!("{token}A"), format!("A{token}"), format!("{token}.{token}")] {
            assert!(links.redeem(&more).is_err());
        }
    }

    #[test]
    fn another_secret_signs_other_links() {
        let (ours, _hand) = links(1);
        let (theirs, _hand) = links(2);
        let url = theirs.read("a", "k".into(), 60_000).unwrap();
        assert!(ours.redeem(token(&url)).is_err());
        assert!(theirs.redeem(token(&url)).is_ok());
    }

    #[test]
    fn claims_that_nobody_signed_are_refused() {
        let (links, _hand) = links(1);
        let claims = r#"{"method":"GET","store":"a","key":"k","expires":18446744073709551615}"#;
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
        for mac in ["", "AAAA", &BASE64_URL_SAFE_NO_PAD.encode([0; 32])] {
            assert!(links.redeem(&format!("{claims}.{mac}")).is_err(), "{mac}");
        }
        for token in ["", ".", "a", "a.b.c", &"x".repeat(TOKEN_BYTES + 1)] {
            assert!(links.redeem(token).is_err());
        }
    }

    #[test]
    fn a_plain_url_encodes_each_segment_and_keeps_the_slashes() {
        let (links, _hand) = links(1);
        for (key, url) in [
            ("a/b.txt", "a/b.txt"),
            ("a b/c&d=e?f#g%h+i.txt", "a%20b/c%26d%3De%3Ff%23g%25h%2Bi.txt"),
            ("ü/请.png", "%C3%BC/%E8%AF%B7.png"),
        ] {
            assert_eq!(links.public(None, key), format!("https://example.com/files/{url}"));
            let other = links.public(Some("b"), key);
            assert_eq!(other, format!("https://example.com/stores/b/{url}"));
        }
    }

    #[test]
    fn the_secret_is_never_shown() {
        let keys = LinkKeys { secret: b"hush".to_vec(), base: "b".into(), is_said: true };
        assert!(!format!("{keys:?}").contains("hush") && !format!("{keys:?}").contains("104"));
    }
}
