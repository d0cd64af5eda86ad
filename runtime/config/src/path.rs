//! Paths on the host.

use std::path::{Component, Path, PathBuf};

use crate::decode::Why;

/// A path of the host: relative to `base`, without `.` steps. It need not
/// exist. `..` stays, since only the file system knows where it leads.
pub(crate) fn host_path(text: &str, base: &Path) -> Result<PathBuf, Why> {
    if text.is_empty() {
        return Err(Why::reason("it is empty"));
    }
    if text.contains('\0') {
        return Err(Why::reason("it has a NUL character"));
    }
    if text == "~" || text.starts_with("~/") {
        return Err(Why {
            instead: Some(text.replacen('~', "${HOME}", 1)),
            ..Why::with_help("`~` is not expanded", "write \"${HOME}\" for `~`")
        });
    }
    if text.contains("://") {
        return Err(Why::with_help(
            "nothing is fetched from a URL",
            "download the file and write its path",
        ));
    }
    let path = base.join(text);
    Ok(path.components().filter(|step| *step != Component::CurDir).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_starts_at_the_base() {
        for (text, path) in [
            ("./a.wasm", "/etc/a.wasm"),
            ("a/./b", "/etc/a/b"),
            ("../a", "/etc/../a"),
            ("/x/a", "/x/a"),
            (".", "/etc"),
        ] {
            assert_eq!(
                host_path(text, Path::new("/etc")).ok(),
                Some(PathBuf::from(path)),
                "{text}"
            );
        }
        assert_eq!(host_path("./a", Path::new("")).ok(), Some(PathBuf::from("a")));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "a\0b", "~", "~/a", "https://example.com/a.wasm"] {
            assert!(host_path(text, Path::new("/etc")).is_err(), "{text:?}");
        }
    }
}
