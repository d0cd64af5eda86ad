use proptest::prelude::*;

use super::*;
use crate::names::{Id, Keys, Name};

fn key() -> Key {
    Keys::below("shop:").unwrap().list(&Id::new(0, 0))
}

const KEY: &str = "shop:l:AAAAAAAAAAAAAAAAAAAAAA";

/// A batch of so many commands.
fn asked(count: usize) -> Request {
    let mut batch = Batch::default();
    (0..count).for_each(|_| batch.get(&key()));
    batch.finished()
}

/// What is read of an answer to so many commands, in pieces of so many bytes; none
/// as long as it is not there as a whole.
fn read_in(count: usize, answer: &[u8], piece: usize) -> Result<Option<Vec<Reply>>, Malformed> {
    let mut reader = asked(count).reader();
    let mut ended = false;
    for piece in answer.chunks(piece) {
        ended = reader.take(piece)?;
    }
    Ok(ended.then(|| reader.replies()))
}

fn read(count: usize, answer: &[u8]) -> Result<Option<Vec<Reply>>, Malformed> {
    read_in(count, answer, answer.len().max(1))
}

fn done(value: Option<&[u8]>, mark: Option<u64>, size: Option<u64>) -> Reply {
    Reply::Done(Found { value: value.map(<[u8]>::to_vec), mark: mark.map(Mark), size })
}

/// A reply, and how the server writes it in its place.
fn replies() -> impl Strategy<Value = Vec<Reply>> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        // What would be mistaken for the end of a value, or for a reply.
        Just(b"\r\nMN\r\n".to_vec()),
        Just(b"END\r\nEN O1\r\n".to_vec()),
    ];
    let number = || prop::option::of(any::<u64>());
    let found = (prop::option::of(value), number(), number());
    let reply = prop_oneof![
        found.prop_map(|(value, mark, size)| done(value.as_deref(), mark, size)),
        Just(Reply::Missing),
        Just(Reply::NotStored),
        Just(Reply::Changed),
        "[a-z]{1,9}( [a-z]{1,9}){0,3}".prop_map(Reply::Refused),
    ];
    prop::collection::vec(reply, 0..12)
}

fn written(replies: &[Reply]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (token, reply) in replies.iter().enumerate() {
        match reply {
            Reply::Done(Found { value, mark, size }) => {
                bytes.extend(match value {
                    Some(value) => format!("VA {}", value.len()).into_bytes(),
                    None => b"HD".to_vec(),
                });
                mark.iter().for_each(|Mark(mark)| bytes.extend(format!(" c{mark}").into_bytes()));
                size.iter().for_each(|size| bytes.extend(format!(" s{size}").into_bytes()));
                bytes.extend(format!(" O{token}\r\n").into_bytes());
                if let Some(value) = value {
                    bytes.extend(value);
                    bytes.extend(b"\r\n");
                }
            }
            Reply::Missing => bytes.extend(format!("EN O{token}\r\n").into_bytes()),
            Reply::NotStored => bytes.extend(format!("NS O{token}\r\n").into_bytes()),
            Reply::Changed => bytes.extend(format!("EX O{token}\r\n").into_bytes()),
            Reply::Refused(why) => bytes.extend(format!("SERVER_ERROR {why}\r\n").into_bytes()),
        }
    }
    bytes.extend(b"MN\r\n");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn how_the_bytes_are_cut_changes_nothing(replies in replies(), piece in 1..40_usize) {
        let answer = written(&replies);
        prop_assert_eq!(read_in(replies.len(), &answer, piece), Ok(Some(replies)));
    }

    #[test]
    fn a_part_of_an_answer_is_never_a_whole_one(replies in replies(), cut: prop::sample::Index) {
        let answer = written(&replies);
        let answer = &answer[..cut.index(answer.len())];
        prop_assert_eq!(read(replies.len(), answer), Ok(None));
    }

    #[test]
    fn an_answer_to_more_or_less_than_was_asked_is_none(replies in replies()) {
        let answer = written(&replies);
        prop_assert!(read(replies.len() + 1, &answer).is_err());
        if let Some(fewer) = replies.len().checked_sub(1) {
            prop_assert!(read(fewer, &answer).is_err());
        }
    }

    #[test]
    fn no_answer_brings_the_reader_down_or_makes_it_hold_more_than_came(
        answer in prop::collection::vec(
            prop_oneof![
                any::<u8>().prop_map(|byte| vec![byte]),
                "(VA|HD|EN|NS|EX|MN|ERROR|SERVER_ERROR)? ?[0-9]{0,20} ?[Ocsk]?[0-9]{0,3}(\r\n)?"
                    .prop_map(String::into_bytes),
            ],
            0..20,
        ),
        count in 0..4_usize,
    ) {
        let answer = answer.concat();
        let mut reader = asked(count).reader();
        for piece in answer.chunks(7) {
            if reader.take(piece).is_err() {
                break;
            }
            prop_assert!(reader.bytes.len() <= answer.len() && reader.replies.len() <= count);
        }
    }
}

#[test]
fn a_command_is_a_line_with_its_place_and_data_have_their_length() {
    let mut batch = Batch::default();
    let key = key();
    batch.get(&key);
    batch.get_marked(&key);
    batch.size(&key);
    batch.set(&key, 60, b"END\r\nflush_all\r\n");
    batch.add(&key, b"");
    batch.append(&key, b"a");
    batch.swap(&key, Mark(7), b"b");
    batch.delete(&key);
    assert_eq!(batch.len(), 8);
    let expected = format!(
        "mg {KEY} v O0\r\nmg {KEY} v c O1\r\nmg {KEY} s O2\r\n\
         ms {KEY} 16 T60 O3\r\nEND\r\nflush_all\r\n\r\nms {KEY} 0 ME T0 O4\r\n\r\n\
         ms {KEY} 1 MA O5\r\na\r\nms {KEY} 1 C7 T0 O6\r\nb\r\nmd {KEY} O7\r\nmn\r\n"
    );
    assert_eq!(String::from_utf8_lossy(batch.finished().bytes()), expected);
}

#[test]
fn whatever_a_caller_writes_is_one_word() {
    let keys = Keys::below("").unwrap();
    let odd = "k\r\nflush_all\r\n";
    let mut batch = Batch::default();
    batch.get(&keys.entry(&Name::of(odd)));
    let sent = batch.finished();
    assert_eq!(sent.bytes().split(|byte| *byte == b'\n').count(), 3);
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for answer in [
        "ERROR\r\n",
        "CLIENT_ERROR bad command line format\r\n",
        "END\r\n",
        "STORED\r\n",
        "HD\r\n",
        "HD O1\r\n",
        "HD O0 O0\r\n",
        "HD O+0\r\n",
        "HD  O0\r\n",
        "HD O0 x1\r\n",
        "hd O0\r\n",
        "EN s1 O0\r\n",
        "EN O0\n\r\n",
        "VA O0\r\n",
        "VA 3 O0\r\nabcd\r\n",
        "VA 3 O0\r\nab\r\nMN\r\n",
        "VA -1 O0\r\n",
        "VA 99999999999999999999 O0\r\n",
        "VA 1048577 O0\r\n",
        "HD O0\r\nHD O1\r\n",
        "HD O0\r\nMN\r\nMN\r\n",
        "MN\r\n",
        "\r\n",
        "HD O\u{e9}\r\n",
    ] {
        assert!(read(1, answer.as_bytes()).is_err(), "{answer:?}");
    }
    assert_eq!(read(1, b"HD O0\r\nMN\r\n"), Ok(Some(vec![done(None, None, None)])));
}

#[test]
fn a_line_that_does_not_end_is_given_up() {
    let mut reader = asked(1).reader();
    let mut taken = 0;
    while reader.take(&[b'x'; 100]).is_ok() {
        taken += 100;
        assert!(taken < 2 * MAX_LINE);
    }
    assert!(read(1, &[b'\n'; 2 * MAX_LINE]).is_err());
}
