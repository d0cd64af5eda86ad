//! Makes the built guests part of this crate. It builds nothing itself: a
//! missing one is an error that names the recipe.

use std::path::Path;

/// Each set and the feature that brings it.
const SETS: &[(&str, &[&str])] = &[
    (
        "LOCAL",
        &[
            "cache-memory",
            "events-local",
            "locking-local",
            "files-local",
            "workflows-local",
            "notifications-local",
            "analytics-local",
        ],
    ),
    ("HTTP", &["notifications-resend", "notifications-sendgrid"]),
    ("REDIS", &["cache-redis", "locking-redis"]),
    ("MEMCACHED", &["cache-memcached"]),
    ("OBJECTS", &["files-s3"]),
    ("POSTGRES", &["locking-postgres"]),
];

fn main() {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/guests");
    println!("cargo::rerun-if-changed=build.rs");
    let mut table = String::from("&[\n");
    for (feature, names) in SETS {
        if std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_none() {
            continue;
        }
        for name in *names {
            let guest = guests.join(format!("{name}.wasm"));
            println!("cargo::rerun-if-changed={}", guest.display());
            match guest.canonicalize() {
                Ok(guest) => {
                    table += &format!("    ({name:?}, include_bytes!({:?})),\n", guest.display());
                }
                Err(_) => println!(
                    "cargo::error=the guest {} is not built; run `./justw guests` first",
                    guest.display()
                ),
            }
        }
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").map(|out| Path::new(&out).join("builtins.rs"));
    let written = out.map(|out| std::fs::write(out, table));
    if !matches!(written, Some(Ok(()))) {
        println!("cargo::error=cannot write to OUT_DIR");
    }
}
