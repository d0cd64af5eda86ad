#!/usr/bin/env bash
# Lints and formatting of both workspaces, and the documentation of the host, where
# the toolchain has the parts.
set -euo pipefail
. "$(dirname "$0")/env.sh"

guests=guest-providers/Cargo.toml

if cargo clippy --version >/dev/null 2>&1; then
    scripts/step.py "lints" -- cargo clippy --locked --workspace --all-targets -- -D warnings
    scripts/step.py "lints of the providers" -- cargo clippy --locked --workspace --all-targets \
        --manifest-path $guests --target-dir "${CARGO_TARGET_DIR:-target}/guest-native" -- -D warnings
else
    say "lints were not checked, clippy is missing; to have them:  rustup component add clippy"
fi

RUSTDOCFLAGS="-D warnings" scripts/step.py "documentation" -- \
    cargo doc --locked --workspace --no-deps

# One copy of the packages serves both examples in TypeScript (scripts/setup.sh).
for file in package-lock.json .npmrc; do
    diff -u <(sed s/cache-typescript/notifications-typescript/ examples/cache-typescript/$file) \
        examples/notifications-typescript/$file >&2 ||
        die "examples/notifications-typescript/$file is not that of cache-typescript"
done

scripts/step.py "tests that pages name" -- scripts/named_tests.py

if cargo fmt --version >/dev/null 2>&1; then
    scripts/step.py "formatting" -- cargo fmt --all --check
    scripts/step.py "formatting of the providers" -- cargo fmt --all --check --manifest-path $guests
else
    say "formatting was not checked, rustfmt is missing; to have it:  rustup component add rustfmt"
fi
