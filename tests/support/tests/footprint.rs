//! In a process of its own: what other tests hold would show.

use stheno_test_support::Footprint;

#[test]
fn what_is_held_shows_and_what_is_let_go_does_not() {
    let before = Footprint::now();
    let file = std::fs::File::open("/proc/self/status").unwrap();
    let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
    let with = Footprint::now();
    assert!(with.resident_beyond(&before) >= 60 << 20, "{before}, then {with}");
    assert!(with.descriptors > before.descriptors, "{before}, then {with}");
    drop((file, memory));
    let after = Footprint::now();
    assert!(after.resident_beyond(&before) < 16 << 20, "{before}, then {after}");
}
