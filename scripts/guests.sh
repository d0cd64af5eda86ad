#!/usr/bin/env bash
# Builds every provider in Rust into dist/guests/NAME.wasm.
#
# Two compilers can do it. Where rustup has the target, or can add it, its
# ready-made standard library is used. Elsewhere Debian's compiler builds the
# standard library once. Each has a target folder of its own: cargo must not mix
# what two compilers made. GUESTS_WITH=rustup or =debian decides for you.
set -euo pipefail
. "$(dirname "$0")/env.sh"

target=wasm32-wasip2
packages="rustc-web cargo-web rust-web-src rust-web-llvm lld-22 wasi-libc"
workspace=guest-providers
refused=$workspace/target/rustup-has-no-target
choice=${GUESTS_WITH:-any}

rustup_serves() {
    has rustup || return 1
    if rustup target list --installed 2>/dev/null | grep -qx "$target"; then return 0; fi
    # Do not wait for the network each time once it was found to be of no use.
    [ ! -e "$refused" ] || [ "$choice" = rustup ] || return 1
    say "asking rustup for $target"
    if timeout 120 rustup target add "$target" >&2; then return 0; fi
    mkdir -p "$(dirname "$refused")"
    : >"$refused"
    return 1
}

debian_installed() {
    # shellcheck disable=SC2086 # several words on purpose
    has dpkg-query && dpkg-query -W $packages >/dev/null 2>&1
}

debian_serves() {
    debian_installed && return 0
    has apt-get || return 1
    [ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; } || return 1
    # shellcheck disable=SC2086 # several words on purpose
    apt_install $packages
    debian_installed
}

if [ "$choice" != debian ] && rustup_serves; then
    say "components are built with rustup's $target"
    built=$PWD/$workspace/target/rustup
    build() { cargo build "$@"; }
elif [ "$choice" != rustup ] && debian_serves; then
    say "components are built with Debian's compiler, which builds the standard library once"
    built=$PWD/$workspace/target/debian
    build() {
        env PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-Clink-self-contained=no -L/usr/lib/wasm32-wasi" \
            /usr/bin/cargo build -Zbuild-std=std,panic_abort "$@"
    }
else
    say "no compiler for $target; type one of these, then run this again:"
    say "    rustup target add $target"
    die "    sudo apt-get update && sudo apt-get install -y $packages"
fi

export CARGO_TARGET_DIR=$built
build --manifest-path "$workspace/Cargo.toml" --workspace --locked --release --target "$target" >&2
# What authors copy must build too. It is of no use in dist/guests.
build --manifest-path sdk/rust/template/Cargo.toml --locked --release --target "$target" >&2

# A component is a member that is a cdylib. What did not change keeps its time
# stamp, so that nothing is built again for its sake.
mkdir -p dist/guests
count=0
for manifest in "$workspace"/*/Cargo.toml tests/{conformance,hostile}/guests/*/Cargo.toml; do
    grep -q '"cdylib"' "$manifest" || continue
    name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
    from=$built/$target/release/$(printf %s "$name" | tr - _).wasm
    to=dist/guests/$name.wasm
    if ! cmp -s "$from" "$to"; then
        # Whole or not at all: somebody may be reading the old one.
        cp "$from" "$to.new"
        mv "$to.new" "$to"
        say "$to, $(wc -c <"$to" | tr -d ' ') bytes"
    fi
    count=$((count + 1))
done
say "$count components in dist/guests"
