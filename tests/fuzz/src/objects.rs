//! Keys through `grants.objects`.

use percent_encoding::percent_decode;
use stheno_capabilities::fuzzing;

const BUCKET: &str = "shop";
const PREFIX: &str = "files/own/";
/// What S3 takes.
const MOST: usize = 1_024;

pub(crate) fn key(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(listing) = fuzzing::object_listing(PREFIX, text) {
        assert_eq!(listing, [PREFIX, text].concat());
        stays_below(&listing, true);
    }
    let Some((whole, source)) = fuzzing::object_key(PREFIX, BUCKET, text) else { return };
    assert_eq!(whole, [PREFIX, text].concat());
    assert!(whole.len() <= MOST && whole.len() > PREFIX.len(), "{text:?}");
    stays_below(&whole, false);
    // Nothing in it parts a path from what comes behind one, and it is read as it was.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~%".contains(&byte);
    assert!(source.bytes().all(plain), "{source:?}");
    let read: Vec<u8> = percent_decode(source.as_bytes()).collect();
    assert_eq!(read, [BUCKET, "/", &whole].concat().into_bytes());
}

/// However often somebody decodes it. The last step of what is `open` may be empty.
fn stays_below(whole: &str, open: bool) {
    let mut read = whole.as_bytes().to_vec();
    loop {
        let own = read.strip_prefix(PREFIX.as_bytes()).expect("it begins with the prefix");
        assert!(!own.iter().any(u8::is_ascii_control), "{whole:?}");
        let mut steps: Vec<&[u8]> = own.split(|byte| b"/\\".contains(byte)).collect();
        if open && steps.last().is_some_and(|last| last.is_empty()) {
            steps.pop();
        }
        for step in steps {
            assert!(![&b""[..], b".", b".."].contains(&step), "{whole:?} leads out");
        }
        let decoded: Vec<u8> = percent_decode(&read).collect();
        if decoded.len() == read.len() {
            return;
        }
        read = decoded;
    }
}
