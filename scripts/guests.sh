#!/usr/bin/env bash
# Builds every Rust component into dist/guests/NAME.wasm.
#
# Two toolchains can do it. Where rustup has the target, or can add it, its
# ready-made standard library is used. Elsewhere Debian's rustc builds the
# standard library once, into a target folder of its own: cargo must not mix
# what two compilers made.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
workspace=$root/guest-providers
dist=$root/dist/guests
target=wasm32-wasip2
packages="rustc-web cargo-web rust-web-src rust-web-llvm lld-22 wasi-libc"

say() { printf 'guests: %s\n' "$*"; }

rustup_serves() {
  command -v rustup >/dev/null || return 1
  rustup target list --installed 2>/dev/null | grep -qx "$target" && return 0
  # An earlier run found that it cannot: do not wait for the network each time.
  [ ! -e "$workspace/target/no-rustup-target" ] || return 1
  say "asking rustup for $target"
  if timeout 60 rustup target add "$target" >/dev/null 2>&1; then return 0; fi
  mkdir -p "$workspace/target"
  : >"$workspace/target/no-rustup-target"
  return 1
}

debian_installed() {
  # shellcheck disable=SC2086 # a list of words
  command -v dpkg-query >/dev/null && dpkg-query -W $packages >/dev/null 2>&1
}

debian_serves() {
  debian_installed && return 0
  command -v apt-get >/dev/null || return 1
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    as_root=sudo
  fi
  say "installing $packages"
  # shellcheck disable=SC2086 # a list of words
  { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq $packages; } >&2 &&
    debian_installed
}

if rustup_serves; then
  say "with rustup's $target"
  export CARGO_TARGET_DIR=$workspace/target/rustup
  build() { cargo build "$@"; }
elif debian_serves; then
  say "with Debian's rustc-web, which builds the standard library once"
  export CARGO_TARGET_DIR=$workspace/target/debian
  build() {
    env PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 \
      CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-Clink-self-contained=no -L/usr/lib/wasm32-wasi" \
      /usr/bin/cargo build -Zbuild-std=std,panic_abort "$@"
  }
else
  say "no compiler for $target; type one of" >&2
  say "  rustup target add $target" >&2
  say "  sudo apt-get update && sudo apt-get install -y $packages" >&2
  exit 1
fi

build --manifest-path "$workspace/Cargo.toml" --workspace --locked --release --target "$target"

# What did not change keeps its time stamp, so that nothing is built again for
# its sake.
mkdir -p "$dist"
built=$CARGO_TARGET_DIR/$target/release
count=0
for manifest in "$workspace"/*/Cargo.toml "$root"/tests/hostile/guests/*/Cargo.toml; do
  grep -q 'cdylib' "$manifest" || continue
  name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$manifest" | head -n 1)
  from=$built/$(printf %s "$name" | tr - _).wasm
  to=$dist/$name.wasm
  if ! cmp -s "$from" "$to"; then
    # Whole or not at all: somebody may be reading the old one.
    cp "$from" "$to.new"
    mv "$to.new" "$to"
    say "$name.wasm, $(wc -c <"$to") bytes"
  fi
  count=$((count + 1))
done
say "$count components in dist/guests"
