//! Who breaks a guarantee is caught, by the cases that are there for it and by no
//! others.

mod workflows;

use std::time::Duration;

use stheno_conformance::{Options, Status, run};

use crate::{Setup, ids};

/// A case that waits for what a fault keeps from coming is cut off after this.
/// Any that ends takes a small part of it.
const LIMIT: Duration = Duration::from_secs(5);

/// The cases that fail for each fault, without the name of the module. One with a
/// `?` before it may fail, as its callers happen to meet.
async fn are_caught(guest: &str, options: &str, faults: &[(&str, &[&str])]) {
    let (_, module) = guest.split_once('-').unwrap();
    for (fault, cases) in faults {
        let options = options.replace("{fault}", fault);
        let setup = Setup::new(&format!("[modules.{module}]\n{options}\n"));
        let options = Options { limit: LIMIT, ..Options::default() };
        let report = run(&setup.target(guest).await, &options, |_| {}).await;
        let named = |case: &str| format!("{module}.{case}");
        let may: Vec<_> =
            cases.iter().filter_map(|case| case.strip_prefix('?')).map(named).collect();
        let must = cases.iter().filter(|case| !case.starts_with('?'));
        let expected: Vec<_> = must.map(|case| named(case)).collect();
        let mut failed = ids(&report, Status::Failed);
        failed.retain(|id| !may.iter().any(|may| may == *id));
        assert_eq!(failed, expected, "{fault}: {report}");
        let told = |case: &stheno_conformance::CaseReport| case.detail.is_some();
        assert!(
            report.cases.iter().all(|it| told(it) == (it.status != Status::Passed)),
            "{report}"
        );
    }
}

const FAULT: &str = "options = { fault = \"{fault}\" }";

/// In a folder that the suite looks into.
const SEEN: &str = r#"
options = { fault = "{fault}", folder = "/out" }
grants.folders = [{ host = "{folder}", guest = "/out", mode = "read-write" }]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cache() {
    are_caught(
        "faulty-cache",
        FAULT,
        &[
            ("none", &[]),
            ("serves-expired", &["set.replaces", "ttl.edge", "ttl.each", "tags.deleted"]),
            (
                "loses-tags",
                &[
                    "tags.union",
                    "tags.twice",
                    "tags.most",
                    "tags.odd",
                    "tags.clear",
                    "tags.replaced",
                    "tags.deleted",
                    "tags.outlives",
                    "tags.callers",
                ],
            ),
            ("keeps-old-tags", &["tags.twice", "tags.replaced"]),
            (
                "forgets-second-set",
                &[
                    "values.bytes",
                    "set.last-wins",
                    "set.replaces",
                    "ttl.zero",
                    "tags.twice",
                    "tags.replaced",
                    "callers.own",
                    "callers.one-key",
                ],
            ),
            (
                "clears-too-much",
                &["tags.none", "tags.odd", "tags.clear", "tags.replaced", "?tags.callers"],
            ),
            ("matches-beginnings", &["matching.whole", "matching.literal"]),
            ("delete-complains", &["delete.keys", "delete.missing"]),
        ],
    )
    .await;
    are_caught(
        "plain-cache",
        FAULT,
        &[("worse-than-unsupported", &["tags.unsupported", "matching.unsupported"])],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cache_that_never_answers_and_hangs_nobody() {
    let options = format!("{FAULT}\nlimits = {{ cpu = \"100ms\" }}");
    are_caught(
        "faulty-cache",
        &options,
        &[(
            "hangs-on-miss",
            &[
                "values.miss",
                "values.order",
                "keys.odd",
                "keys.length",
                "set.replaces",
                "delete.keys",
                "delete.missing",
                "restart.values",
                "ttl.edge",
                "ttl.zero",
                "ttl.each",
                "tags.odd",
                "tags.clear",
                "tags.replaced",
                "tags.outlives",
                "tags.callers",
                "matching.star",
                "matching.whole",
                "matching.literal",
                "matching.all",
            ],
        )],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_events() {
    are_caught(
        "faulty-events",
        FAULT,
        &[
            ("none", &[]),
            (
                "delivers-handled",
                &[
                    "publish.handled",
                    "delay.edge",
                    "subscriptions.independent",
                    "leases.late",
                    "groups.release",
                    "groups.once",
                    "groups.apart",
                    "groups.expire",
                    "dead-letters.replay",
                    "callers.publish",
                    "callers.pull",
                    "restart.events",
                    "restart.handled",
                    "restart.leases",
                ],
            ),
            ("due-early", &["pull.next-due", "delay.edge"]),
            ("ignores-priority", &["priority.order"]),
            (
                "leases-for-ever",
                &["leases.expire", "leases.late", "leases.last-attempt", "restart.leases"],
            ),
            (
                "publishes-staged",
                &[
                    "groups.release",
                    "groups.once",
                    "groups.apart",
                    "groups.discard",
                    "groups.expire",
                    "arguments.groups",
                    "restart.groups",
                ],
            ),
            (
                "forgets-dead-letters",
                &[
                    "dead-letters.listed",
                    "dead-letters.pages",
                    "dead-letters.one-subscription",
                    "dead-letters.replay",
                    "dead-letters.remove",
                    "arguments.dead-letters",
                    "restart.dead-letters",
                ],
            ),
            ("retries-at-once", &["retries.backoff", "restart.events"]),
            (
                "loses-last",
                &[
                    "publish.odd",
                    "publish.ids",
                    "publish.order",
                    "pull.max",
                    "priority.order",
                    "subscriptions.patterns",
                    "subscriptions.all",
                    "subscriptions.listed",
                    "retained.later",
                    "retries.rejected",
                    "arguments.pull",
                    "callers.publish",
                    "callers.pull",
                    "callers.refused",
                    "restart.events",
                    "restart.leases",
                ],
            ),
            ("replaces-subscriptions", &["subscriptions.conflict"]),
            (
                "forgets-on-restart",
                &[
                    "restart.events",
                    "restart.handled",
                    "restart.leases",
                    "restart.groups",
                    "restart.dead-letters",
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_locking() {
    are_caught(
        "faulty-locking",
        FAULT,
        &[
            ("none", &[]),
            (
                "two-holders",
                &[
                    "lease.exclusive",
                    "lease.all-or-none",
                    "lease.expiry",
                    "lease.for-ever",
                    "owner.nobody",
                    "queue.first",
                    "queue.many-keys",
                    "?queue.opposite",
                    "queue.expiry",
                    "queue.ttl",
                    "queue.timeout",
                    "queue.gone",
                    "?callers.never-oversell",
                    "?callers.fences",
                    "?callers.many-keys",
                ],
            ),
            (
                "locks-one",
                &[
                    "lease.all-or-none",
                    "owner.part",
                    "owner.release-keys",
                    "owner.release-all",
                    "queue.many-keys",
                    "?callers.many-keys",
                ],
            ),
            (
                "expires-late",
                &[
                    "lease.expiry",
                    "lease.lost",
                    "owner.expired",
                    "queue.expiry",
                    "queue.ttl",
                    "list.inspect",
                ],
            ),
            (
                "fences-stand",
                &[
                    "lease.all-or-none",
                    "lease.lost",
                    "lease.fences",
                    "lease.job",
                    "owner.renews",
                    "owner.part",
                    "list.inspect",
                    "arguments.others",
                    "callers.fences",
                    "restart.fences",
                ],
            ),
            ("releases-nobodys", &["owner.release-all"]),
            ("does-not-renew", &["owner.renews", "owner.part"]),
            (
                "hides-loss",
                &[
                    "lease.expiry",
                    "lease.lost",
                    "owner.renews",
                    "owner.part",
                    "owner.release-keys",
                    "queue.expiry",
                    "restart.forgets",
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_files() {
    are_caught(
        "faulty-files",
        FAULT,
        &[
            ("none", &[]),
            (
                "one-key-per-name",
                &[
                    "body.failed",
                    "body.waits",
                    "info.etag-differs",
                    "keys.unique",
                    "copy.apart",
                    "list.pages",
                    "links.upload",
                    "links.once",
                    "callers.own",
                    "callers.one-name",
                ],
            ),
            (
                "loses-last-byte",
                &[
                    "body.bytes",
                    "body.stream",
                    "body.large",
                    "body.failed",
                    "body.given-up",
                    "body.waits",
                    "range.parts",
                    "restart.kept",
                    "keys.unique",
                    "keys.odd",
                    "keys.climbing",
                    "keys.guessed",
                    "delete.many",
                    "copy.apart",
                    "copy.described",
                    "links.upload",
                    "links.once",
                    "arguments.keys",
                    "callers.own",
                    "callers.one-name",
                ],
            ),
            ("loses-metadata", &["info.unchanged", "copy.described", "arguments.most"]),
            ("lists-twice", &["body.unseen", "list.prefix", "list.pages", "links.once"]),
            ("links-to-nothing", &["keys.guessed", "links.missing"]),
            ("fills-any-key", &["links.only-its-name"]),
            ("refuses-long-ranges", &["range.parts"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_notifications() {
    are_caught(
        "faulty-notifications",
        FAULT,
        &[
            ("none", &[]),
            ("false-receipt", &["send.parts"]),
            (
                "sends-twice",
                &[
                    "send.receipt",
                    "send.parts",
                    "send.template",
                    "send.addresses",
                    "send.odd",
                    "send.data",
                    "key.once",
                    "key.batch",
                    "batch.all",
                    "restart.serves",
                    "outbox.unchanged",
                    "outbox.receipt",
                    "outbox.attachments",
                    "outbox.order",
                    "callers.each",
                    "callers.one-key",
                ],
            ),
            ("loses-attachments", &["outbox.attachments"]),
            ("shows-blind-copies", &["outbox.unchanged"]),
            ("refuses-templates", &["send.template", "send.data", "outbox.unchanged"]),
            ("ignores-after", &["outbox.order", "outbox.after"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_analytics() {
    are_caught(
        "faulty-analytics",
        SEEN,
        &[
            ("none", &[]),
            ("loses-last", &["seen.order", "seen.callers", "seen.stop"]),
            ("reverses", &["seen.order"]),
            ("rounds-numbers", &["seen.unchanged"]),
            ("forgets-on-stop", &["seen.stop"]),
            (
                "ignores-flush",
                &["seen.unchanged", "seen.identities", "seen.order", "seen.callers", "seen.flush"],
            ),
            ("refuses-groups", &["track.accepted"]),
        ],
    )
    .await;
}
