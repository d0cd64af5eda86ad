//! From a guest's arguments to a command that may be sent.
//!
//! The one place where it is decided which arguments are keys. A command is read
//! as strictly as the server reads it or more so: what could be understood in two
//! ways is refused, not guessed.

use std::io::Write as _;
use std::time::Duration;

use redis::{Cmd, RedisWrite};
use stheno_contracts::Error;

use super::commands::{self, Keys, Replies, Spec, Waits};

/// The longest that a command may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The most that one step of a `SCAN` looks at.
const MAX_SCAN_COUNT: u64 = 10_000;

/// A command whose keys are known.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) spec: Spec,
    args: &'a [Vec<u8>],
    keys: Positions,
    /// How long it may wait; none if it does not.
    pub(super) waits: Option<Duration>,
}

/// Which arguments are keys: every `step`th from `first` up to `end`, and one
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Positions {
    single: Option<usize>,
    first: usize,
    end: usize,
    step: usize,
}

impl Positions {
    const NONE: Self = Self { single: None, first: 0, end: 0, step: 1 };

    fn contains(&self, at: usize) -> bool {
        self.single == Some(at)
            || (at >= self.first && at < self.end && (at - self.first).is_multiple_of(self.step))
    }
}

/// Decides about one command.
pub(super) fn admit(args: &[Vec<u8>]) -> Result<Admitted<'_>, Error> {
    let Some((name, rest)) = args.split_first() else {
        return Err(invalid("a command has no name"));
    };
    let Some(spec) = commands::find(name, rest.first().map(Vec::as_slice)) else {
        return Err(Error::Denied(unknown(name, rest.first().map(Vec::as_slice))));
    };
    let keys = positions(spec, args)?;
    if spec.name == "COPY" {
        copy_options(args)?;
    }
    let waits = wait(spec, args, keys)?;
    Ok(Admitted { spec, args, keys, waits })
}

fn positions(spec: Spec, args: &[Vec<u8>]) -> Result<Positions, Error> {
    let none = || invalid(format!("{}: it has no key", spec.name));
    Ok(match spec.keys {
        Keys::None => Positions::NONE,
        Keys::At { first, last, step } => {
            let end = match usize::try_from(last) {
                Ok(last) => last + 1,
                Err(_) => (args.len() + 1).saturating_sub(last.unsigned_abs()),
            };
            if end <= first || end > args.len() {
                return Err(none());
            }
            Positions { single: None, first, end, step }
        }
        Keys::Counted { single, count } => {
            let keys = counted(spec, args, count)?;
            if keys.first == keys.end {
                return Err(none());
            }
            Positions { single, ..keys }
        }
        Keys::Script => counted(spec, args, 2)?,
        Keys::Streams { group } => streams(spec, args, group)?.keys,
        Keys::Scan => {
            scan(args)?;
            Positions::NONE
        }
    })
}

/// The keys behind their number at `count`.
fn counted(spec: Spec, args: &[Vec<u8>], count: usize) -> Result<Positions, Error> {
    let number = args.get(count).and_then(|text| whole(text));
    let Some(number) = number.and_then(|number| usize::try_from(number).ok()) else {
        return Err(invalid(format!(
            "{}: argument {count} must be the number of keys, in digits",
            spec.name
        )));
    };
    let first = count + 1;
    match first.checked_add(number).filter(|end| *end <= args.len()) {
        Some(end) => Ok(Positions { single: None, first, end, step: 1 }),
        None => Err(invalid(format!("{}: it has fewer keys than it says", spec.name))),
    }
}

struct Streams {
    keys: Positions,
    block: Option<u64>,
}

/// `[GROUP group consumer] [COUNT n] [BLOCK ms] [NOACK] STREAMS key... id...`
fn streams(spec: Spec, args: &[Vec<u8>], group: bool) -> Result<Streams, Error> {
    let wrong = |why: &str| invalid(format!("{}: {why}", spec.name));
    let mut at = 1;
    let mut block = None;
    let (mut grouped, mut counted) = (false, false);
    loop {
        let Some(option) = args.get(at) else {
            return Err(wrong("it has no STREAMS"));
        };
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("STREAMS") {
            break;
        } else if is("COUNT") && !counted {
            counted = true;
            at += 2;
        } else if is("BLOCK") && block.is_none() {
            let millis = args.get(at + 1).and_then(|text| whole(text));
            block = Some(millis.ok_or_else(|| wrong("BLOCK must be followed by milliseconds"))?);
            at += 2;
        } else if group && is("GROUP") && !grouped {
            grouped = true;
            at += 3;
        } else if group && is("NOACK") {
            at += 1;
        } else {
            return Err(wrong("there is an option before STREAMS that is unknown or there twice"));
        }
    }
    let first = at + 1;
    let rest = args.len().saturating_sub(first);
    if rest == 0 || !rest.is_multiple_of(2) {
        return Err(wrong("after STREAMS must come as many ids as keys"));
    }
    let keys = Positions { single: None, first, end: first + rest / 2, step: 1 };
    Ok(Streams { keys, block })
}

/// What a `SCAN` asks for.
struct Scan<'a> {
    pattern: Option<&'a [u8]>,
}

/// `cursor [MATCH pattern] [COUNT n] [TYPE type]`
fn scan(args: &[Vec<u8>]) -> Result<Scan<'_>, Error> {
    let wrong = |why: &str| invalid(format!("SCAN: {why}"));
    if args.get(1).and_then(|cursor| whole(cursor)).is_none() {
        return Err(wrong("argument 1 must be a cursor, 0 to begin with"));
    }
    let mut pattern = None;
    let mut seen = Vec::new();
    for option in args.get(2..).unwrap_or_default().chunks(2) {
        let [name, value] = option else {
            return Err(wrong("an option has no value"));
        };
        let name = name.to_ascii_uppercase();
        match name.as_slice() {
            b"MATCH" => pattern = Some(value.as_slice()),
            b"COUNT" => {
                if !whole(value).is_some_and(|count| (1..=MAX_SCAN_COUNT).contains(&count)) {
                    return Err(wrong(&format!("COUNT must be 1 to {MAX_SCAN_COUNT}")));
                }
            }
            b"TYPE" => {}
            _ => return Err(wrong("its options are MATCH, COUNT and TYPE")),
        }
        if seen.contains(&name) {
            return Err(wrong("an option is there twice"));
        }
        seen.push(name);
    }
    Ok(Scan { pattern })
}

fn copy_options(args: &[Vec<u8>]) -> Result<(), Error> {
    for option in args.get(3..).unwrap_or_default() {
        if option.eq_ignore_ascii_case(b"DB") {
            return Err(Error::Denied(
                "COPY with DB is not allowed: it reaches another database".into(),
            ));
        }
        if !option.eq_ignore_ascii_case(b"REPLACE") {
            return Err(invalid("COPY: its one option is REPLACE"));
        }
    }
    Ok(())
}

fn wait(spec: Spec, args: &[Vec<u8>], keys: Positions) -> Result<Option<Duration>, Error> {
    let seconds = |text: Option<&Vec<u8>>| {
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds = text.filter(digits).and_then(|text| text.parse().ok());
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    };
    let waits = match spec.waits {
        Waits::No => return Ok(None),
        Waits::First => seconds(args.get(1)),
        // A key is no time, even if it reads like one.
        Waits::Last => seconds(args.last().filter(|_| !keys.contains(args.len() - 1))),
        Waits::Block => {
            let group = matches!(spec.keys, Keys::Streams { group: true });
            match streams(spec, args, group)?.block {
                None => return Ok(None),
                Some(millis) => Some(Duration::from_millis(millis)),
            }
        }
    };
    match waits {
        Some(waits) if !waits.is_zero() && waits <= LONGEST_WAIT => Ok(Some(waits)),
        _ => Err(invalid(format!(
            "{}: it must say how long it waits: more than 0 and at most {} seconds",
            spec.name,
            LONGEST_WAIT.as_secs()
        ))),
    }
}

impl<'a> Admitted<'a> {
    /// The script that it calls, by the name that the guest has for it.
    pub(super) fn script(&self) -> Option<&'a [u8]> {
        matches!(self.spec.keys, Keys::Script)
            .then(|| self.args.get(1).map(Vec::as_slice).unwrap_or_default())
    }

    /// How many bytes it has on the wire, about.
    pub(super) fn bytes(&self, prefix: &str) -> usize {
        let key = prefix.len();
        self.args.iter().map(|arg| arg.len() + 16 + key).sum()
    }

    /// Writes it, with the prefix before every key. `script` stands in for the
    /// guest's name of the script.
    pub(super) fn write(&self, prefix: &str, script: Option<&str>) -> Cmd {
        let mut cmd = Cmd::with_capacity(self.args.len() + 2, self.bytes(prefix));
        if self.spec.replies == Replies::Scan {
            self.write_scan(&mut cmd, prefix);
            return cmd;
        }
        for (at, arg) in self.args.iter().enumerate() {
            match script {
                Some(script) if at == 1 => cmd.write_arg(script.as_bytes()),
                _ if self.keys.contains(at) => write_key(&mut cmd, prefix, arg),
                _ => cmd.write_arg(arg),
            }
        }
        cmd
    }

    fn write_scan(&self, cmd: &mut Cmd, prefix: &str) {
        let pattern = scan(self.args).ok().and_then(|scan| scan.pattern).unwrap_or(b"*");
        for arg in self.args.iter().take(2) {
            cmd.write_arg(arg);
        }
        // No character of a prefix means more than itself in a pattern.
        cmd.write_arg(b"MATCH");
        write_key(cmd, prefix, pattern);
        for option in self.args.get(2..).unwrap_or_default().chunks(2) {
            if let [name, value] = option
                && !name.eq_ignore_ascii_case(b"MATCH")
            {
                cmd.write_arg(name);
                cmd.write_arg(value);
            }
        }
    }

    /// The keys that it names, as the guest has them.
    pub(super) fn touched(&self) -> impl Iterator<Item = &'a [u8]> {
        let named = self.args.iter().enumerate().filter(|(at, _)| self.keys.contains(*at));
        named.map(|(_, key)| key.as_slice())
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn keys(&self) -> Vec<usize> {
        (0..self.args.len()).filter(|at| self.keys.contains(*at)).collect()
    }
}

/// Writes a key, or a pattern for keys, behind the prefix.
pub(super) fn write_key(cmd: &mut Cmd, prefix: &str, key: &[u8]) {
    let mut writer = cmd.writer_for_next_arg();
    // A command is written in memory, which takes everything.
    let written = writer.write_all(prefix.as_bytes()).and_then(|()| writer.write_all(key));
    debug_assert!(written.is_ok());
}

/// A number as Redis reads one: digits, without sign and leading zeros.
fn whole(text: &[u8]) -> Option<u64> {
    let digits =
        text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || !text.starts_with(b"0"));
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

fn invalid(text: impl Into<String>) -> Error {
    Error::InvalidArgument(text.into())
}

/// Why a command that is not in the list is denied.
fn unknown(name: &[u8], first: Option<&[u8]>) -> String {
    let word = |text: &[u8]| {
        let plain = (1..=32).contains(&text.len())
            && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.|".contains(byte));
        plain.then(|| String::from_utf8_lossy(text).to_ascii_uppercase())
    };
    let Some(shown) = word(name) else {
        return "what stands for a command's name is none that may be sent".to_owned();
    };
    if let Some(reason) = commands::reason(name) {
        return format!("{shown} is not allowed, whatever is granted: {reason}");
    }
    let first = first
        .and_then(word)
        .filter(|_| commands::all().any(|spec| spec.name.starts_with(&format!("{shown} "))));
    let shown = first.map_or(shown.clone(), |first| format!("{shown} {first}"));
    format!(
        "{shown} is not allowed, whatever is granted: it is not among the commands whose keys the host \
         knows, so it could reach beyond the prefix"
    )
}
