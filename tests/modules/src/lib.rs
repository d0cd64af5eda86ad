//! What each module promises, over every provider of it.
//!
//! One suite per module, in `tests/MODULE/`; each of its cases is one test per
//! provider, named `PROVIDER::CASE`. What a suite may assert is what the
//! contract in `wit/` or the API's documentation promises whichever provider
//! serves; what only one provider promises is tested beside that provider. What
//! attacks the host is in `tests/hostile`.

/// The Rust examples of the modules' pages, each compiled and, unless it says
/// otherwise, run.
#[cfg(doctest)]
mod pages {
    macro_rules! page {
        ($($module:ident: $file:literal,)*) => {
            $(#[doc = include_str!(concat!("../../../docs/modules/", $file))] mod $module {})*
        };
    }

    page! {
        cache: "cache.md",
        events: "events.md",
        locking: "locking.md",
        files: "files.md",
        notifications: "notifications.md",
        analytics: "analytics.md",
        workflows: "workflows.md",
    }
}
