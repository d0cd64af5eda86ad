//! Running cases, each within its time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::case::{Applies, Case, cases};
use crate::check::{Fault, Outcome};
use crate::report::{CaseReport, Report, Status};
use crate::target::Target;
use crate::trial::Trial;

/// After so many cases in a row that did not end, no other is begun: each costs
/// its whole limit.
const HUNG: usize = 3;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only cases whose id begins so.
    pub only: String,
    /// How long one case may take, in real time.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { only: String::new(), limit: Duration::from_secs(30) }
    }
}

/// The cases that a run has, in their order.
#[must_use]
pub fn plan(target: &Target, only: &str) -> Vec<&'static Case> {
    let wanted = |case: &&Case| {
        case.id.starts_with(only)
            && match case.applies {
                Applies::Always | Applies::With(_) => true,
                Applies::Without(feature) => !target.has(feature),
                Applies::Seen => target.is_seen(),
            }
    };
    cases(target.module()).into_iter().filter(wanted).collect()
}

/// Runs the cases one after the other. `told` hears of each as it ends.
pub async fn run(
    target: &Arc<Target>,
    options: &Options,
    mut told: impl FnMut(&CaseReport),
) -> Report {
    let begun = Instant::now();
    let mut ended = Vec::new();
    let mut hung = 0;
    for case in plan(target, &options.only) {
        let report = if hung < HUNG {
            let (report, in_time) = one(target, case, options.limit).await;
            hung = if in_time { 0 } else { hung + 1 };
            report
        } else {
            let detail = format!("not run: the {HUNG} cases before it did not end");
            case.report(Status::Failed, Some(detail), Duration::ZERO)
        };
        told(&report);
        ended.push(report);
    }
    let module = target.module().to_string();
    Report::new(module, target.info().name.clone(), ended, begun.elapsed())
}

/// Runs one case; says whether it ended in time.
async fn one(target: &Arc<Target>, case: &'static Case, limit: Duration) -> (CaseReport, bool) {
    if let Applies::With(features) = case.applies
        && let Some(feature) = features.iter().find(|feature| !target.has(feature))
    {
        let detail = format!("the provider leaves the feature `{feature}` out");
        return (case.report(Status::Skipped, Some(detail), Duration::ZERO), true);
    }
    let begun = Instant::now();
    let (outcome, in_time) = match Trial::new(target) {
        Ok(trial) => within(limit, (case.run)(trial)).await,
        Err(fault) => (Err(fault), true),
    };
    let took = begun.elapsed();
    let report = match outcome {
        Ok(()) => case.report(Status::Passed, None, took),
        Err(fault) => case.report(Status::Failed, Some(fault.into_detail()), took),
    };
    (report, in_time)
}

/// In a task of its own, so that a case that panics costs no other.
async fn within(
    limit: Duration,
    case: impl Future<Output = Outcome> + Send + 'static,
) -> (Outcome, bool) {
    let mut case = tokio::spawn(case);
    match tokio::time::timeout(limit, &mut case).await {
        Ok(Ok(outcome)) => (outcome, true),
        Ok(Err(ended)) => (Err(ended.into()), true),
        Err(_) => {
            case.abort();
            // Until it is gone it holds what it was granted.
            let _ = case.await;
            (Err(Fault::new(format!("it did not end within {limit:?}"))), false)
        }
    }
}

impl Case {
    fn report(&self, status: Status, detail: Option<String>, took: Duration) -> CaseReport {
        CaseReport { id: self.id, guarantee: self.guarantee, status, detail, took }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_ends_is_cut_off_and_told() {
        let (outcome, in_time) = within(Duration::from_millis(5), std::future::pending()).await;
        assert!(!in_time);
        assert!(outcome.is_err_and(|fault| fault.into_detail().contains("within 5ms")));
    }

    #[tokio::test]
    async fn a_case_that_panics_is_a_failure() {
        let panics = async { Err(Fault::new(std::hint::black_box(None).unwrap_or("no panic"))) };
        assert!(within(Duration::from_secs(9), panics).await.0.is_err());
    }
}
