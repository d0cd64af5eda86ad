//! Definitions.

use std::time::Duration;

use stheno::{
    Condition, ErrorKind, OnFailure, StepDefinition, StepWork, WorkflowDefinition, WorkflowStatus,
    Workflows,
};

use super::{SECOND, Subject, step, tried, undoable, waits};
use crate::case::Case;
use crate::check::{Fault, Outcome, equal, names, there};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.definitions.listed" =>
        "All definitions are listed, ordered by id, each as it was given.", listed;
    "workflows.definitions.active" =>
        "A definition tells how many runs of its workflow have not ended, by whichever definition.", active;
    "workflows.definitions.replaced" => "A definition replaces the one of its id.", replaced;
    "workflows.definitions.removed" =>
        "A definition that was removed starts nothing more, runs under way go on, and removing it again is `not-found`.",
        removed;
    "workflows.definitions.again" => "A workflow that was removed can be defined again.", again;
};

impl Subject {
    /// Those of the case.
    async fn definitions(&self) -> Result<Vec<WorkflowStatus>, Fault> {
        let own = self.own("");
        let mut all = self.api.definitions().await?;
        all.retain(|status| status.definition.id.starts_with(&own));
        Ok(all)
    }

    async fn active(&self, workflow: &str) -> Result<u64, Fault> {
        let id = self.own(workflow);
        let mut all = self.api.definitions().await?.into_iter();
        Ok(there("the definition", all.find(|it| it.definition.id == id))?.active)
    }
}

/// One that says all there is, but for nested runs.
fn whole(s: &Subject, id: &str) -> WorkflowDefinition {
    let c = StepDefinition {
        when: vec![
            Condition::input("/a~1b").present(),
            Condition::result("a", "").truthy().negated(),
            Condition::result("b", "/x").equals("ü"),
        ],
        timeout: Some(Duration::from_millis(7)),
        on_failure: OnFailure::SkipRest,
        ..undoable("c", &["a", "b"])
    };
    let by_hand = stheno::Retries { automatic: false, ..tried(9) };
    WorkflowDefinition {
        result_from: Some("c".to_owned()),
        timeout: Some(3 * SECOND),
        retention: Some(Duration::ZERO),
        finish: true,
        ..s.workflow(
            id,
            vec![
                StepDefinition {
                    retries: by_hand,
                    on_failure: OnFailure::SkipTo("d".to_owned()),
                    ..step("a", &[])
                },
                StepDefinition { on_failure: OnFailure::Proceed, ..waits("b", &["a"]) },
                c,
                StepDefinition { work: StepWork::Wait, ..step("d", &["c"]) },
            ],
        )
    }
}

async fn listed(s: Subject) -> Outcome {
    let bare = |id| WorkflowDefinition { retention: None, ..s.workflow(id, vec![step("x", &[])]) };
    let given = [bare("a"), whole(&s, "b"), bare("c")];
    for definition in given.iter().rev() {
        s.api.put_definition(definition.clone()).await?;
    }
    let found: Vec<_> = s.definitions().await?.into_iter().map(|it| it.definition).collect();
    equal("how many there are", found.len(), 3)?;
    for (found, given) in found.into_iter().zip(given) {
        equal("a definition", found, given)?;
    }
    Ok(())
}

async fn active(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    equal("runs before the first", s.active("w").await?, 0)?;
    s.run("w", "r").await?;
    s.define("w", vec![step("b", &[])]).await?;
    s.run("w", "q").await?;
    equal("runs under way", s.active("w").await?, 2)?;
    s.does("w", ["a", "b"]).await?;
    equal("runs when both have ended", s.active("w").await?, 0)
}

async fn replaced(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.define("w", vec![step("b", &[]), step("c", &[])]).await?;
    equal("how many there are", s.definitions().await?.len(), 1)?;
    s.run("w", "r").await?;
    s.does("w", ["b", "c"]).await
}

async fn removed(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[]), step("b", &["a"])]).await?;
    s.run("w", "r").await?;
    let id = s.own("w");
    s.api.remove_definition(&id).await?;
    equal("how many there are", s.definitions().await?.len(), 0)?;
    let started = s.api.start_bytes(&id, Vec::new()).id(s.own("q")).await;
    names("starting it", started, ErrorKind::NotFound, &id)?;
    names("removing it again", s.api.remove_definition(&id).await, ErrorKind::NotFound, &id)?;
    s.does("w", ["a"]).await?;
    s.does("w", ["b"]).await?;
    s.stands("r", "done: a done, b done").await
}

async fn again(s: Subject) -> Outcome {
    s.define("w", vec![step("a", &[])]).await?;
    s.run("w", "old").await?;
    s.api.remove_definition(&s.own("w")).await?;
    s.define("w", vec![step("b", &[])]).await?;
    s.run("w", "new").await?;
    equal("runs under way", s.active("w").await?, 2)?;
    s.does("w", ["a", "b"]).await?;
    s.stands("old", "done: a done").await?;
    s.stands("new", "done: b done").await
}
