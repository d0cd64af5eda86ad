//! Watches how large replies are, before anything holds them in memory.
//!
//! A key can hold half a gigabyte, and a client that reads a reply holds all of
//! it. So the bytes are looked at on their way in: only the lengths, which stand
//! at the beginning of each part. A reply that is or says it will be larger than
//! allowed is an error of the connection.

use crate::metered::TooLarge;

/// Where in the stream of replies one is.
pub(super) struct Meter {
    max_bytes: u64,
    /// Of the reply under way.
    bytes: u64,
    /// Parts that are still to come in it.
    parts: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// At the beginning of a part.
    Kind,
    /// Within its first line; the number that stands there, if one does, and
    /// whether `\r` was the last byte. A `\n` alone ends no line for the client,
    /// so neither here: it would hold what is no longer counted.
    Line { kind: u8, number: u64, negative: bool, returned: bool },
    /// Within its bytes.
    Bytes { left: u64 },
}

impl Meter {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { max_bytes, bytes: 0, parts: 1, state: State::Kind }
    }
}

impl crate::metered::Meter for Meter {
    fn see(&mut self, mut new: &[u8]) -> Result<(), TooLarge> {
        while let Some((&byte, rest)) = new.split_first() {
            let taken = match &mut self.state {
                State::Kind => {
                    self.state =
                        State::Line { kind: byte, number: 0, negative: false, returned: false };
                    1
                }
                State::Line { kind, number, negative, returned } => {
                    let ends = std::mem::replace(returned, byte == b'\r') && byte == b'\n';
                    match byte {
                        _ if ends => {
                            let (kind, negative) = (*kind, *negative);
                            let number = if negative { 0 } else { *number };
                            self.line(kind, number, negative)?;
                        }
                        b'0'..=b'9' => {
                            let digit = u64::from(byte - b'0');
                            *number = number.saturating_mul(10).saturating_add(digit);
                        }
                        b'-' => *negative = true,
                        _ => {}
                    }
                    1
                }
                State::Bytes { left } => {
                    let taken = (*left).min(new.len() as u64);
                    *left -= taken;
                    if *left == 0 {
                        self.part_ends();
                    }
                    taken as usize
                }
            };
            self.bytes += taken as u64;
            if self.bytes > self.max_bytes {
                return Err(TooLarge);
            }
            new = if taken == 1 { rest } else { new.get(taken..).unwrap_or_default() };
            if self.parts == 0 {
                (self.parts, self.bytes) = (1, 0);
            }
        }
        Ok(())
    }
}

impl Meter {
    /// The first line of a part has ended.
    fn line(&mut self, kind: u8, number: u64, negative: bool) -> Result<(), TooLarge> {
        // What is announced counts at once; each element has some bytes.
        if matches!(kind, b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' | b'|')
            && number > self.max_bytes
        {
            return Err(TooLarge);
        }
        self.state = State::Kind;
        match kind {
            b'$' | b'=' | b'!' if !negative => self.state = State::Bytes { left: number + 2 },
            b'*' | b'~' | b'>' => {
                self.parts += number;
                self.part_ends();
            }
            b'%' => {
                self.parts += 2 * number;
                self.part_ends();
            }
            // Attributes stand before the part that they belong to.
            b'|' => self.parts += 2 * number,
            _ => self.part_ends(),
        }
        Ok(())
    }

    fn part_ends(&mut self) {
        self.state = State::Kind;
        self.parts = self.parts.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metered::Meter as _;

    fn sizes_pass(max: u64, replies: &[&str]) -> bool {
        let mut meter = Meter::new(max);
        replies.iter().all(|reply| meter.see(reply.as_bytes()).is_ok())
    }

    #[test]
    fn replies_within_the_bound_pass_however_many() {
        let replies = [
            "+OK\r\n",
            "$5\r\nhello\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "_\r\n",
            ":-42\r\n",
            "*2\r\n$1\r\na\r\n:1\r\n",
            "%1\r\n+a\r\n*1\r\n:1\r\n",
            "|1\r\n+a\r\n+b\r\n+OK\r\n",
            ",1.5\r\n",
            "#t\r\n",
            "-ERR 99999999999 no\r\n",
            "=7\r\ntxt:abc\r\n",
            "~1\r\n:1\r\n",
            ">1\r\n+x\r\n",
        ];
        for _ in 0..100 {
            assert!(sizes_pass(26, &replies));
        }
        let all = replies.concat().repeat(1_000);
        assert_eq!(Meter::new(26).see(all.as_bytes()), Ok(()));
    }

    #[test]
    fn one_that_is_larger_or_says_so_does_not() {
        for large in [
            "$101\r\n",
            "*101\r\n",
            "$99999999999999999999999\r\n",
            "*2\r\n$60\r\n",
            &format!("+{}", "x".repeat(101)),
            &format!("*3\r\n{}", format!("$40\r\n{}\r\n", "x".repeat(40)).repeat(3)),
        ] {
            let mut meter = Meter::new(100);
            let end = meter.see(large.as_bytes()).and_then(|()| meter.see(&[b'x'; 200]));
            assert_eq!(end, Err(TooLarge), "{large:?}");
        }
    }

    #[test]
    fn a_line_ends_where_it_does_for_the_client_and_nowhere_before() {
        // Each of these would be many small replies, if `\n` ended a line.
        for endless in ["+a\n", "+a\n\r", ":1\n", "$-1\n", "*0\n", "\r+\n"] {
            let mut meter = Meter::new(100);
            let text = format!("+{}", endless.repeat(50));
            assert_eq!(meter.see(text.as_bytes()), Err(TooLarge), "{endless:?}");
        }
        let mut meter = Meter::new(10);
        for _ in 0..100 {
            for piece in ["+a\nb", "\r", "\r", "\n"] {
                assert_eq!(meter.see(piece.as_bytes()), Ok(()), "{piece:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(
            sizes in proptest::collection::vec(0_usize..200, 1..20),
            cuts in proptest::collection::vec(1_usize..50, 1..50),
            max in 20_u64..250,
        ) {
            let replies: Vec<String> =
                sizes.iter().map(|&size| format!("*2\r\n:1\r\n${size}\r\n{}\r\n", "x".repeat(size))).collect();
            let largest = replies.iter().map(String::len).max().unwrap() as u64;
            let bytes = replies.concat().into_bytes();
            let mut meter = Meter::new(max);
            let (mut rest, mut passed, mut cuts) = (bytes.as_slice(), true, cuts.iter().cycle());
            while !rest.is_empty() && passed {
                let cut = (*cuts.next().unwrap()).min(rest.len());
                passed = meter.see(&rest[..cut]).is_ok();
                rest = &rest[cut..];
            }
            prop_assert_eq!(passed, largest <= max);
        }

        #[test]
        fn no_bytes_panic_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Meter::new(50).see(&bytes);
        }
    }
}
