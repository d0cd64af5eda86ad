//! Listing a folder in the order of its paths, a page at a time.
//!
//! A folder of the file system has no order, so each page looks at every name
//! that may be on it; memory is bounded by the page, whatever the folder holds,
//! and time by [`Patience`]: such a walk holds a thread that all providers share.

use std::collections::BinaryHeap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cap_std::fs::Dir;

use super::OWN;

/// How long a walk goes on: for so long, and while somebody waits for it.
#[derive(Clone)]
pub(super) struct Patience {
    until: Option<Instant>,
    gone: Arc<AtomicBool>,
}

/// Somebody who waits for a walk. Dropped, it ends the walk.
pub(super) struct Waiter(Arc<AtomicBool>);

impl Patience {
    pub(super) fn of(time: Duration) -> (Self, Waiter) {
        let gone = Arc::<AtomicBool>::default();
        let waiter = Waiter(Arc::clone(&gone));
        (Self { until: Instant::now().checked_add(time), gone }, waiter)
    }

    fn last(&self) -> io::Result<()> {
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        if late || self.gone.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Search<'a> {
    patience: &'a Patience,
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    /// The first paths found so far, the last of them on top.
    found: BinaryHeap<String>,
}

/// The first `limit` regular files whose path begins with `prefix` and comes
/// after `after`.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] once there is no patience left.
pub(super) fn first(
    dir: &Dir,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    patience: &Patience,
) -> io::Result<Vec<String>> {
    let mut search = Search { patience, prefix, after, limit, found: BinaryHeap::new() };
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        search.look(dir, &folder, &mut folders)?;
    }
    Ok(search.found.into_sorted_vec())
}

impl Search<'_> {
    fn look(&mut self, dir: &Dir, folder: &str, folders: &mut Vec<String>) -> io::Result<()> {
        self.patience.last()?;
        let entries = match folder {
            "" => dir.entries(),
            folder => dir.read_dir(Path::new(folder)),
        };
        let entries = match entries {
            // It was removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            self.patience.last()?;
            let entry = entry?;
            // No path of a guest has such a name.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            if kind.is_file() {
                self.take(format!("{folder}{name}"));
            } else if kind.is_dir() && !(folder.is_empty() && name == OWN) {
                let inner = format!("{folder}{name}/");
                if self.may_hold(&inner) {
                    folders.push(inner);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: String) {
        let wanted =
            path.starts_with(self.prefix) && self.after.is_none_or(|after| path.as_str() > after);
        if !wanted || !self.is_early(&path) {
            return;
        }
        self.found.push(path);
        if self.found.len() > self.limit {
            self.found.pop();
        }
    }

    /// Whether `path` may still be among the first.
    fn is_early(&self, path: &str) -> bool {
        self.found.len() < self.limit || self.found.peek().is_none_or(|last| path < last.as_str())
    }

    /// Whether a path below `folder` may be wanted.
    fn may_hold(&self, folder: &str) -> bool {
        let fits = folder.starts_with(self.prefix) || self.prefix.starts_with(folder);
        // All paths below it come before `after`, unless that is below it too.
        let late = self.after.is_none_or(|after| folder > after || after.starts_with(folder));
        fits && late && self.is_early(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends_at_its_deadline_and_with_whoever_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "").unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).unwrap();
        let walk = |patience| first(&dir, "", None, 10, patience).map_err(|error| error.kind());
        let (patience, waiter) = Patience::of(Duration::from_secs(3600));
        assert_eq!(walk(&patience), Ok(vec!["a".to_owned()]));
        drop(waiter);
        assert_eq!(walk(&patience), Err(io::ErrorKind::TimedOut));
        let (patience, _waiter) = Patience::of(Duration::ZERO);
        assert_eq!(walk(&patience), Err(io::ErrorKind::TimedOut));
    }
}
