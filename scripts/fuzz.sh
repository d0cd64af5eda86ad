#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET]...: looks for inputs that break the promise of a target,
# each for a minute if nothing is said. Fails at the first that is found.
set -euo pipefail
. "$(dirname "$0")/env.sh"

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "write how many seconds, such as: ./justw fuzz 60 redis-command" >&2; exit 2; }
shift || true
targets=("$@")
[ $# -gt 0 ] || targets=($(ls tests/fuzz/corpus))
target=${CARGO_TARGET_DIR:-target}

if ! c++ --version >/dev/null 2>&1; then
    say "the engine is written in C++ and there is no compiler for that; install one, such as g++"
    exit 1
fi
RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/fuzz_rustc.sh scripts/step.py "fuzz targets" -- \
    cargo build --locked --workspace --features stheno-fuzz/engine --bin stheno-fuzz

for name in "${targets[@]}"; do
    if [ ! -d "tests/fuzz/corpus/$name" ]; then
        say "there is no target $name; they are: $(ls tests/fuzz/corpus | tr '\n' ' ')"
        exit 2
    fi
    found=$target/fuzz/$name
    mkdir -p "$found/corpus"
    STHENO_FUZZ=$name scripts/step.py "$name, $seconds s" -- "$target/debug/stheno-fuzz" \
        -max_total_time="$seconds" -max_len=4096 -artifact_prefix="$found/" \
        "$found/corpus" "tests/fuzz/corpus/$name" || {
        say "an input broke the promise of $name; it is in $found"
        say "mend what it shows, and keep the input in tests/fuzz/corpus/$name"
        exit 1
    }
done
