//! Commands through `grants.redis`. Which arguments are keys is held against a real
//! server in `stheno-capabilities`; here it is what becomes of them.

use stheno_capabilities::fuzzing;
use stheno_config::{RedisServerAddress, RedisUrl};

const PREFIX: &str = "shop:cache:";

/// Lines of arguments.
pub(crate) fn command(input: &[u8]) {
    let arguments: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let Some((packed, keys)) = fuzzing::redis_command(&arguments, PREFIX) else { return };
    let sent = unpacked(&packed);
    // It has the keys where it had them, and nothing else is what it was not.
    for (at, argument) in sent.iter().enumerate() {
        let key = keys.contains(&at);
        assert_eq!(key, key && argument.starts_with(PREFIX.as_bytes()), "{sent:?}");
    }
    let scan = sent[0].eq_ignore_ascii_case(b"SCAN");
    if scan {
        // What is not said would be all keys of the server.
        let at = sent.iter().position(|word| word.eq_ignore_ascii_case(b"MATCH"));
        assert!(sent[at.unwrap() + 1].starts_with(PREFIX.as_bytes()), "{sent:?}");
    } else {
        assert_eq!(sent.len(), arguments.len());
        for (at, (sent, asked)) in sent.iter().zip(&arguments).enumerate() {
            let prefix = if keys.contains(&at) { PREFIX.as_bytes() } else { b"" };
            assert_eq!(*sent, [prefix, asked].concat());
        }
    }
    // What is sent is read as what was asked: a prefix moves no key.
    let again = fuzzing::redis_command(&sent, PREFIX);
    assert_eq!(again.map(|(_, keys)| keys), Some(keys), "{sent:?}");
}

/// The arguments of a packed command: `*2\r\n$3\r\nGET\r\n$1\r\na\r\n`.
fn unpacked(packed: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = packed;
    let count = number(&mut rest, b'*');
    let arguments = (0..count)
        .map(|_| {
            let length = number(&mut rest, b'$');
            let (argument, after) = rest.split_at(length);
            rest = after.strip_prefix(b"\r\n").expect("an argument has an end");
            argument.to_vec()
        })
        .collect();
    assert!(rest.is_empty(), "a second command came along");
    arguments
}

fn number(rest: &mut &[u8], kind: u8) -> usize {
    let line = rest.strip_prefix(&[kind]).expect("a number comes");
    let end = line.windows(2).position(|pair| pair == b"\r\n").unwrap();
    *rest = &line[end + 2..];
    std::str::from_utf8(&line[..end]).unwrap().parse().unwrap()
}

pub(crate) fn url(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(url) = RedisUrl::new(text) else { return };
    let shown = url.to_string();
    let again = RedisUrl::new(&shown).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert_eq!((url.server(), url.database()), (again.server(), again.database()));
    assert!(again.password().is_none(), "{shown:?}");
    // The path of a socket may have one.
    if let RedisServerAddress::Tcp { .. } = url.server() {
        assert!(!shown.contains('@'), "{shown:?}");
    }
}
