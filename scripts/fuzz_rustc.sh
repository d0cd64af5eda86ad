#!/bin/sh
# rustc for `./justw fuzz`: our own crates that have parsers tell the engine which way
# an input takes. Dependencies are those of every other build.
case " $* " in
*" --crate-name stheno_config "* | *" --crate-name stheno_capabilities "* | *" --crate-name stheno_fuzz "*)
    exec "$@" \
        -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*)
    exec "$@"
    ;;
esac
