//! Memcached's meta commands, as bytes and back.
//!
//! A [`Batch`] is commands that go out together; each has its place in the batch as
//! its opaque token, and behind them goes `mn`. A [`Reader`] takes what comes back,
//! in whatever pieces, and accepts just what those commands can be answered with:
//! one reply for each, in their order, each with its token, and `MN` as the last.
//! Anything else is [`Malformed`], and the connection is of no use any more: nobody
//! can say to which command what follows belongs.
//!
//! Neither holds more than it has to: a line has a bound, and so has a value.

use crate::names::Key;

/// The most bytes of a value. What is stored here is smaller.
pub(crate) const MAX_VALUE: usize = 1 << 20;
/// The most bytes of a line.
const MAX_LINE: usize = 1_024;

/// Changes with each change of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

#[cfg(test)]
impl Mark {
    pub(crate) fn any() -> Self {
        Self(1)
    }
}

/// Commands that go out together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    count: usize,
}

impl Batch {
    /// Whether the item is there, and how many bytes it has.
    pub(crate) fn size(&mut self, key: &Key) {
        self.command("mg", key, None, "s", None);
    }

    /// The item.
    pub(crate) fn get(&mut self, key: &Key) {
        self.command("mg", key, None, "v", None);
    }

    /// The item, and what [`Batch::swap`] wants.
    pub(crate) fn get_marked(&mut self, key: &Key) {
        self.command("mg", key, None, "v c", None);
    }

    /// Stores an item for so many seconds, 0 for as long as there is room.
    pub(crate) fn set(&mut self, key: &Key, seconds: u64, data: &[u8]) {
        self.command("ms", key, Some(data.len()), &format!("T{seconds}"), Some(data));
    }

    /// Stores an item if there is none.
    pub(crate) fn add(&mut self, key: &Key, data: &[u8]) {
        self.command("ms", key, Some(data.len()), "ME T0", Some(data));
    }

    /// Puts bytes behind those of an item that is there.
    pub(crate) fn append(&mut self, key: &Key, data: &[u8]) {
        self.command("ms", key, Some(data.len()), "MA", Some(data));
    }

    /// Replaces an item if it has not changed.
    pub(crate) fn swap(&mut self, key: &Key, mark: Mark, data: &[u8]) {
        self.command("ms", key, Some(data.len()), &format!("C{} T0", mark.0), Some(data));
    }

    /// Removes an item.
    pub(crate) fn delete(&mut self, key: &Key) {
        self.command("md", key, None, "", None);
    }

    fn command(
        &mut self,
        verb: &str,
        key: &Key,
        length: Option<usize>,
        flags: &str,
        data: Option<&[u8]>,
    ) {
        let mut line = format!("{verb} {}", key.as_str());
        for word in [length.map(|length| length.to_string()).as_deref(), Some(flags)] {
            if let Some(word) = word.filter(|word| !word.is_empty()) {
                line.push(' ');
                line.push_str(word);
            }
        }
        line.push_str(&format!(" O{}\r\n", self.count));
        self.bytes.extend_from_slice(line.as_bytes());
        if let Some(data) = data {
            self.bytes.extend_from_slice(data);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.count += 1;
    }

    /// How many commands it has.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// What goes out.
    pub(crate) fn finished(mut self) -> Request {
        self.bytes.extend_from_slice(b"mn\r\n");
        Request { bytes: self.bytes, count: self.count }
    }
}

/// A batch as it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    count: usize,
}

impl Request {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads its replies.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            bytes: Vec::new(),
            at: 0,
            count: self.count,
            replies: Vec::with_capacity(self.count.min(1_024)),
            ended: false,
        }
    }
}

/// What the server said to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It is done, or there; with what was asked for.
    Done(Found),
    /// There is no such item.
    Missing,
    /// It was not stored: there is an item already, or none to append to.
    NotStored,
    /// It has changed.
    Changed,
    /// The server cannot, and says why.
    Refused(String),
}

/// What was asked for of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) mark: Option<Mark>,
    pub(crate) size: Option<u64>,
}

/// What came back is no answer to what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// Reads the replies to one request.
#[derive(Debug)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    /// How many of the bytes are read.
    at: usize,
    count: usize,
    replies: Vec<Reply>,
    ended: bool,
}

impl Reader {
    /// Takes what came, and says whether all is there.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        self.bytes.extend_from_slice(bytes);
        while !self.ended && self.next()? {}
        self.bytes.drain(..self.at);
        self.at = 0;
        if self.ended && !self.bytes.is_empty() {
            return Err(malformed("more than it was asked for", &self.bytes));
        }
        Ok(self.ended)
    }

    /// The replies, one for each command.
    pub(crate) fn replies(self) -> Vec<Reply> {
        self.replies
    }

    /// Reads one reply; not if it is not there as a whole.
    fn next(&mut self) -> Result<bool, Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let within = rest.get(..MAX_LINE).unwrap_or(rest);
        let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
            return match rest.len() < MAX_LINE {
                true => Ok(false),
                false => Err(malformed("a line that does not end", within)),
            };
        };
        let (line, rest) = rest.split_at(end);
        let rest = rest.get(2..).unwrap_or_default();
        let text = std::str::from_utf8(line).map_err(|_| malformed("no text", line))?;
        let mut used = line.len() + 2;
        if self.replies.len() == self.count {
            self.ended = text == "MN";
            self.at += used;
            return match self.ended {
                true => Ok(true),
                false => Err(malformed("more than it was asked for", line)),
            };
        }
        let wrong = || malformed("what is no answer", line);
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or_default();
        let reply = match kind {
            "SERVER_ERROR" => {
                let why = text.get(kind.len()..).unwrap_or_default().trim();
                Reply::Refused(why.chars().take(200).collect())
            }
            "VA" => {
                let length = words.next().and_then(number).ok_or_else(wrong)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= MAX_VALUE);
                let length = length.ok_or_else(|| malformed("a value that is too large", line))?;
                let mut found = self.flags(words).ok_or_else(wrong)?;
                let Some(value) = rest.get(..length + 2) else { return Ok(false) };
                let value = value.strip_suffix(b"\r\n");
                let value = value.ok_or_else(|| malformed("a value of another length", line))?;
                used += length + 2;
                found.value = Some(value.to_vec());
                Reply::Done(found)
            }
            "HD" => Reply::Done(self.flags(words).ok_or_else(wrong)?),
            "EN" | "NF" | "NS" | "EX" => {
                self.flags(words).filter(|found| *found == Found::default()).ok_or_else(wrong)?;
                match kind {
                    "NS" => Reply::NotStored,
                    "EX" => Reply::Changed,
                    _ => Reply::Missing,
                }
            }
            _ => return Err(wrong()),
        };
        self.replies.push(reply);
        self.at += used;
        Ok(true)
    }

    /// The flags behind a reply; none if they are not those of the command whose turn
    /// it is.
    fn flags<'l>(&self, words: impl Iterator<Item = &'l str>) -> Option<Found> {
        let mut found = Found::default();
        let mut token = None;
        for word in words {
            let (kind, value) = word.split_at_checked(1)?;
            let place = match kind {
                "O" => &mut token,
                "s" => &mut found.size,
                "c" => {
                    found.mark = Some(Mark(number(value).filter(|_| found.mark.is_none())?));
                    continue;
                }
                _ => return None,
            };
            *place = Some(number(value).filter(|_| place.is_none())?);
        }
        (token == u64::try_from(self.replies.len()).ok()).then_some(found)
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn malformed(what: &str, bytes: &[u8]) -> Malformed {
    let shown = bytes.get(..60).unwrap_or(bytes);
    Malformed(format!("{what}: {:?}", String::from_utf8_lossy(shown)))
}

#[cfg(test)]
mod tests;
