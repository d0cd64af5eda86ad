//! The files: one series a day, a new one where the last is full.
//!
//! `2026-11-24.jsonl`, then `2026-11-24.1.jsonl` and so on. A batch is one write,
//! so that what was accepted survives this process being killed; the disk is
//! asked to keep it (fsync) on `sync` and before a file is left. A file whose
//! last line is not whole, since the machine went down within a write, is left as
//! it is: the next file goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub(crate) struct Journal {
    folder: PathBuf,
    max_bytes: u64,
    current: Option<Current>,
}

struct Current {
    /// Since 1970.
    day: u64,
    number: u32,
    file: File,
    bytes: u64,
    synced: bool,
}

impl Journal {
    /// Fails where the folder cannot be listed. Files are made when there is
    /// something to write.
    pub(crate) fn open(folder: PathBuf, max_bytes: u64) -> io::Result<Self> {
        std::fs::read_dir(&folder)?;
        Ok(Self { folder, max_bytes, current: None })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes whole lines, all or none.
    pub(crate) fn append(&mut self, unix_ms: u64, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let day = unix_ms / DAY_MS;
        let max = self.max_bytes;
        let room = |bytes: u64| bytes == 0 || bytes.saturating_add(lines.len() as u64) <= max;
        let current = match self.current.take() {
            Some(current) if current.day == day && room(current.bytes) => current,
            Some(mut left) => {
                // An error keeps it: what it holds is accepted and not yet safe.
                if let Err(error) = left.sync() {
                    self.current = Some(left);
                    return Err(error);
                }
                let next = if left.day == day { left.number.saturating_add(1) } else { 0 };
                self.place(day, next, room)?
            }
            None => self.place(day, 0, room)?,
        };
        let current = self.current.insert(current);
        current.synced = false;
        if let Err(error) = current.file.write_all(lines) {
            // What is half written would be half a line.
            if current.file.set_len(current.bytes).is_err() {
                self.current = None;
            }
            return Err(error);
        }
        current.bytes += lines.len() as u64;
        Ok(())
    }

    /// Has the disk keep what was written.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.current.as_mut().map_or(Ok(()), Current::sync)
    }

    /// The first file of the day, from this number on, that has room.
    fn place(&self, day: u64, from: u32, room: impl Fn(u64) -> bool) -> io::Result<Current> {
        for number in from..=u32::MAX {
            let path = self.folder.join(name(day, number));
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            let bytes = file.metadata()?.len();
            if room(bytes) && ends_whole(&mut file, bytes)? {
                return Ok(Current { day, number, file, bytes, synced: true });
            }
        }
        Err(io::Error::other("the day has no more files"))
    }
}

impl Current {
    fn sync(&mut self) -> io::Result<()> {
        if !self.synced {
            self.file.sync_all()?;
            self.synced = true;
        }
        Ok(())
    }
}

fn ends_whole(file: &mut File, bytes: u64) -> io::Result<bool> {
    if bytes == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

fn name(day: u64, number: u32) -> String {
    let date = date(day);
    match number {
        0 => format!("{date}.jsonl"),
        number => format!("{date}.{number}.jsonl"),
    }
}

/// The date of a day since 1970, in the Gregorian calendar: days are counted
/// from a 1st of March, so that the leap day is the last of its year.
fn date(day: u64) -> String {
    let day = day.saturating_add(719_468);
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn files(folder: &Path) -> BTreeMap<String, String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().into_string().unwrap(), text)
            })
            .collect()
    }

    fn pairs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (day, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (10_957, "2000-01-01"),
            (11_016, "2000-02-29"),
            (20_781, "2026-11-24"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(day), text);
        }
    }

    #[test]
    fn a_new_day_and_a_full_file_begin_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path().into(), 8).unwrap();
        for (day, line) in
            [(0, "aaa\n"), (0, "bbb\n"), (0, "c\n"), (1, "d\n"), (1, "longer than 8\n")]
        {
            journal.append(day * DAY_MS, line.as_bytes()).unwrap();
        }
        journal.sync().unwrap();
        let expected = [
            ("1970-01-01.jsonl", "aaa\nbbb\n"),
            ("1970-01-01.1.jsonl", "c\n"),
            ("1970-01-02.jsonl", "d\n"),
            ("1970-01-02.1.jsonl", "longer than 8\n"),
        ];
        assert_eq!(files(folder.path()), pairs(&expected));
    }

    #[test]
    fn a_file_whose_last_line_is_torn_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("1970-01-01.jsonl"), "a\nhal").unwrap();
        let mut journal = Journal::open(folder.path().into(), 100).unwrap();
        journal.append(0, b"b\n").unwrap();
        let expected = [("1970-01-01.jsonl", "a\nhal"), ("1970-01-01.1.jsonl", "b\n")];
        assert_eq!(files(folder.path()), pairs(&expected));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(Journal::open("/not/there".into(), 100).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_line_is_there_once_in_order_whatever_restarts(
            steps in prop::collection::vec((0_u64..3, 1_usize..20, any::<bool>()), 1..40),
            max in 8_u64..60,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let open = || Journal::open(folder.path().into(), max).unwrap();
            let mut journal = open();
            let (mut day, mut written) = (0, Vec::new());
            for (number, (later, length, restart)) in steps.into_iter().enumerate() {
                day += later;
                let line = format!("{number:03}{}\n", "x".repeat(length));
                journal.append(day * DAY_MS, line.as_bytes()).unwrap();
                written.push(line);
                if restart {
                    journal = open();
                }
            }
            let mut read: Vec<String> = Vec::new();
            for text in files(folder.path()).into_values() {
                prop_assert!(text.len() as u64 <= max || text.lines().count() == 1);
                read.extend(text.split_inclusive('\n').map(str::to_owned));
            }
            read.sort();
            prop_assert_eq!(read, written);
        }
    }
}
