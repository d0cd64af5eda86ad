//! One target under the engine: `STHENO_FUZZ=NAME stheno-fuzz [OPTION]... [CORPUS]...`,
//! which takes the options of libFuzzer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stheno_fuzz::{TARGETS, Target, find};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("STHENO_FUZZ").unwrap_or_default();
    find(&name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("STHENO_FUZZ names no target; write one of {}", names.join(", "));
        std::process::exit(2)
    })
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
