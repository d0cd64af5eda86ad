//! What may happen to a broker, made up at random.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
pub(super) enum Op {
    Publish(Vec<Spec>),
    Stage(&'static str, u64, Vec<Spec>),
    Release(&'static str),
    Discard(&'static str, Vec<String>),
    Subscribe(&'static str, &'static str, bool, Option<u64>),
    Unsubscribe(&'static str),
    Pull(Vec<&'static str>, u32, u64),
    Settle(prop::sample::Index, Verdict),
    Extend(prop::sample::Index, u64),
    Letters(Option<&'static str>),
    Replay(prop::sample::Index),
    Remove(prop::sample::Index),
    Status,
    Pass(u64),
    /// Goes on with a broker that was loaded from the store.
    Restart,
}

#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) delay_ms: u64,
    pub(super) priority: Option<u32>,
    pub(super) attempts: Option<u32>,
}

pub(super) const IDS: [&str; 3] = ["one", "three", "two"];
const GROUPS: [&str; 2] = ["g", "h"];
const NAMES: [&str; 4] = ["a", "a.b", "a.c", "b"];
const PATTERNS: [&str; 4] = ["*", "a.*", "a", "*b"];

fn spec() -> impl Strategy<Value = Spec> {
    let delay = prop_oneof![3 => Just(0), 1 => Just(20), 1 => Just(u64::MAX)];
    let priority = prop_oneof![3 => Just(None), 1 => Just(Some(1)), 1 => Just(Some(100)), 1 => Just(Some(2_097_152))];
    let attempts = prop_oneof![Just(None), Just(Some(1)), Just(Some(2))];
    (prop::sample::select(&NAMES[..]), delay, priority, attempts).prop_map(
        |(name, delay_ms, priority, attempts)| Spec { name, delay_ms, priority, attempts },
    )
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Handled),
        Just(Verdict::Failed("why".to_owned())),
        Just(Verdict::Rejected("no".to_owned())),
        Just(Verdict::Returned),
    ]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let id = || prop::sample::select(&IDS[..]);
    let group = || prop::sample::select(&GROUPS[..]);
    let specs = || prop::collection::vec(spec(), 0..4);
    let index = any::<prop::sample::Index>;
    let span = || prop_oneof![3 => Just(20u64), 2 => Just(50u64), 1 => Just(u64::MAX)];
    prop_oneof![
        6 => specs().prop_map(Op::Publish),
        2 => (group(), span(), specs()).prop_map(|(g, t, s)| Op::Stage(g, t, s)),
        2 => group().prop_map(Op::Release),
        1 => (group(), prop::collection::vec(prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 0..3))
            .prop_map(|(g, n)| Op::Discard(g, n)),
        5 => (id(), prop::sample::select(&PATTERNS[..]), any::<bool>(), prop::option::of(Just(60u64)))
            .prop_map(|(i, p, r, t)| Op::Subscribe(i, p, r, t)),
        1 => id().prop_map(Op::Unsubscribe),
        8 => (prop::sample::subsequence(&IDS[..], 0..=3), 0u32..5, span()).prop_map(|(i, m, l)| Op::Pull(i, m, l)),
        8 => (index(), verdict()).prop_map(|(i, v)| Op::Settle(i, v)),
        2 => (index(), span()).prop_map(|(i, l)| Op::Extend(i, l)),
        2 => prop::option::of(id()).prop_map(Op::Letters),
        2 => index().prop_map(Op::Replay),
        1 => index().prop_map(Op::Remove),
        2 => Just(Op::Status),
        5 => (1u64..4).prop_map(|n| Op::Pass(n * 10)),
        1 => Just(Op::Restart),
    ]
}
