//! Those of workflows.

use super::{FAULT, are_caught};

/// With less room than a case fills.
const SMALL: &str = "options = { fault = \"{fault}\", max_bytes = \"16MiB\" }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_caught_in_runs_and_their_steps() {
    are_caught(
        "faulty-workflows",
        SMALL,
        &[
            ("none", &[]),
            (
                "says-new",
                &[
                    "start.once",
                    "finish.retained",
                    "history.retention",
                    "schedules.runs",
                    "full.named",
                    "callers.one-id",
                    "restart.ended",
                ],
            ),
            ("forgets-named", &["full.named"]),
            ("retries-rejected", &["retries.rejected", "undo.stuck", "undo.goes-on"]),
            ("gives-any-step", &["pull.selectors", "finish.selector"]),
            (
                "ignores-conditions",
                &[
                    "definitions.listed",
                    "conditions.pointer",
                    "conditions.truthy",
                    "conditions.equals",
                    "conditions.nothing",
                    "conditions.results",
                    "conditions.all",
                    "undo.only-done",
                    "arguments.steps",
                    "full.named",
                ],
            ),
            (
                "undoes-nothing",
                &[
                    "definitions.listed",
                    "steps.too-much",
                    "timeouts.undone",
                    "timeouts.waiting",
                    "timeouts.run",
                    "timeouts.stopping",
                    "timeouts.compensation",
                    "timeouts.undo",
                    "waiting.compensation",
                    "failures.revert",
                    "failures.undone",
                    "undo.reverse",
                    "undo.parallel",
                    "undo.waits",
                    "undo.only-done",
                    "undo.lost",
                    "undo.no-handler",
                    "undo.results",
                    "undo.retried",
                    "undo.by-hand",
                    "undo.stuck",
                    "undo.goes-on",
                    "cancel.running",
                    "cancel.idle",
                    "cancel.waiting",
                    "cancel.done",
                    "cancel.refused",
                    "nested.fails",
                    "nested.undone",
                    "nested.cancelled",
                    "nested.stuck",
                    "nested.timeout",
                    "nested.deep",
                    "finish.states",
                    "history.times",
                    "history.states",
                    "callers.cancel",
                    "restart.timeouts",
                    "restart.undo",
                    "restart.nested",
                ],
            ),
            ("cancels-anything", &["cancel.refused", "callers.cancel"]),
            ("completes-anything", &["timeouts.waiting", "waiting.refused", "callers.complete"]),
            (
                "drops-finish",
                &[
                    "definitions.listed",
                    "finish.told",
                    "finish.states",
                    "finish.repeated",
                    "finish.lost",
                    "finish.retained",
                    "finish.selector",
                    "restart.finish",
                ],
            ),
            ("mixes-up-inputs", &["nested.input", "arguments.nested"]),
            (
                "lists-oldest-first",
                &[
                    "history.listed",
                    "history.pages",
                    "history.states",
                    "history.started",
                    "schedules.replace",
                ],
            ),
        ],
    )
    .await;
    are_caught(
        "plain-workflows",
        FAULT,
        &[("worse-than-unsupported", &["nested.unsupported", "schedules.unsupported"])],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_caught_in_time_and_over_restarts() {
    are_caught(
        "faulty-workflows",
        SMALL,
        &[
            (
                "never-times-out",
                &[
                    "definitions.listed",
                    "timeouts.attempt",
                    "timeouts.again",
                    "timeouts.undone",
                    "timeouts.waiting",
                    "timeouts.deadline",
                    "timeouts.undo",
                    "nested.timeout",
                    "restart.timeouts",
                ],
            ),
            (
                "retries-at-once",
                &[
                    "definitions.listed",
                    "pull.next-due",
                    "retries.backoff",
                    "retries.now",
                    "timeouts.again",
                    "timeouts.undo",
                    "waiting.failed",
                    "failures.last",
                    "undo.retried",
                    "restart.retries",
                ],
            ),
            (
                "leases-for-ever",
                &[
                    "leases.expire",
                    "leases.uncounted",
                    "leases.late",
                    "undo.lost",
                    "finish.lost",
                    "restart.leases",
                ],
            ),
            (
                "extends-nothing",
                &["leases.extend", "timeouts.attempt", "timeouts.run", "restart.leases"],
            ),
            (
                "ignores-overlap",
                &[
                    "schedules.listed",
                    "schedules.counts",
                    "schedules.skip",
                    "schedules.replace",
                    "restart.schedules",
                ],
            ),
            (
                "ignores-zones",
                &[
                    "schedules.listed",
                    "calendar.zones",
                    "calendar.missing-hour",
                    "calendar.double-hour",
                    "calendar.wrong",
                ],
            ),
            ("catches-nothing-up", &["schedules.listed", "schedules.catch-up", "restart.missed"]),
            (
                "forgets-on-restart",
                &[
                    "restart.runs",
                    "restart.definitions",
                    "restart.settled",
                    "restart.leases",
                    "restart.retries",
                    "restart.timeouts",
                    "restart.waiting",
                    "restart.undo",
                    "restart.ended",
                    "restart.finish",
                    "restart.nested",
                    "restart.schedules",
                    "restart.missed",
                ],
            ),
        ],
    )
    .await;
}
