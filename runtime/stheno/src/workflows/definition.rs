//! What a workflow is made of, as data. A [`Workflow`](super::Workflow) is one
//! with its handlers.

use std::collections::HashSet;
use std::time::Duration;

use stheno_contracts::workflows as contract;

use super::args::{self, FINISH, MAX_WORKFLOW_STEPS};
use crate::Error;

/// A workflow without handlers: what runs of it do, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowDefinition {
    /// 1 to 255 bytes without control characters.
    pub id: String,
    /// 1 to 256 steps; each after those that it comes after.
    pub steps: Vec<StepDefinition>,
    /// The step whose result is the run's; none is the last of the list.
    pub result_from: Option<String>,
    /// How long a run may take until its last step has ended.
    pub timeout: Option<Duration>,
    /// How long a run that has ended can be looked up, and its id is not run
    /// again; none takes the provider's default.
    pub retention: Option<Duration>,
    /// Whether a last task, of the action [`TaskAction::Finish`](super::TaskAction),
    /// tells how each run has ended.
    pub finish: bool,
}

/// One step of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDefinition {
    /// Unique in the workflow, and not `finish`.
    pub id: String,
    /// The steps that have to end first; none begins with the run.
    pub after: Vec<String>,
    /// All must hold, else the step is skipped and what comes after goes on.
    pub when: Vec<Condition>,
    /// Who does it.
    pub work: StepWork,
    /// How failed attempts are repeated.
    pub retries: Retries,
    /// How long one attempt may take, waiting included.
    pub timeout: Option<Duration>,
    /// What becomes of the run when the step has failed for good.
    pub on_failure: OnFailure,
    /// Whether there is a handler that undoes the step.
    pub compensates: bool,
}

impl StepDefinition {
    /// A step that begins with the run, is tried once, and whose failure reverts
    /// the run.
    pub fn new(id: impl Into<String>, work: StepWork) -> Self {
        Self {
            id: id.into(),
            after: Vec::new(),
            when: Vec::new(),
            work,
            retries: Retries::default(),
            timeout: None,
            on_failure: OnFailure::Revert,
            compensates: false,
        }
    }
}

/// Who does a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepWork {
    /// A handler.
    Handler,
    /// Nobody here: the step waits until it is completed from outside.
    Wait,
    /// A run of another workflow.
    Nested {
        /// The other workflow.
        workflow: String,
        /// The step whose result is its input; none gives it the parent's input.
        input_from: Option<String>,
    },
}

/// How failed attempts are repeated: the wait is `initial` after the first, and
/// doubles with each up to `max`; a random half of it is taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// How often the step is tried in all, at least 1.
    pub attempts: u32,
    /// The wait after the first failure.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// False: a failed attempt is repeated only when somebody says so, with
    /// [`Workflows::retry`](super::Workflows::retry).
    pub automatic: bool,
}

impl Default for Retries {
    /// Tried once.
    fn default() -> Self {
        Self {
            attempts: 1,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            automatic: true,
        }
    }
}

/// What becomes of a run when a step has failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnFailure {
    /// What was done is compensated.
    Revert,
    /// It goes on as if the step had ended, without a result.
    Proceed,
    /// It goes on with this step, which comes after the failed one; those between
    /// are passed over.
    SkipTo(String),
    /// All steps that come after are passed over.
    SkipRest,
}

/// A test of a JSON value that decides whether a step is done. In what is not
/// JSON, or where there is no result, there is nothing.
///
/// ```
/// use stheno::Condition;
///
/// // The input has an address, and the step `check` did not find a fraud.
/// let conditions = [
///     Condition::input("/customer/email").present(),
///     Condition::result("check", "/fraud").equals(true).negated(),
/// ];
/// # let _ = conditions;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The step whose result is looked at; none is the run's input.
    pub step: Option<String>,
    /// A JSON pointer such as `/customer/email`; empty for the whole.
    pub pointer: String,
    /// What is asked of it.
    pub test: ConditionTest,
    /// Whether the condition holds when the test does not.
    pub negated: bool,
}

/// What a [`Condition`] asks of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionTest {
    /// There is something, other than null.
    Present,
    /// There is something other than null, false, 0, "", [] and {}.
    Truthy,
    /// There is this value, written as JSON.
    Equals(String),
}

/// A place that a [`Condition`] looks at.
#[derive(Debug, Clone)]
#[must_use = "say what is asked of it"]
pub struct ConditionPlace {
    step: Option<String>,
    pointer: String,
}

impl Condition {
    /// Looks at the run's input, at this JSON pointer; empty for the whole.
    pub fn input(pointer: impl Into<String>) -> ConditionPlace {
        ConditionPlace { step: None, pointer: pointer.into() }
    }

    /// Looks at the result of a step that the conditional one comes after.
    pub fn result(step: impl Into<String>, pointer: impl Into<String>) -> ConditionPlace {
        ConditionPlace { step: Some(step.into()), pointer: pointer.into() }
    }

    /// The condition that holds when this one does not.
    #[must_use]
    pub fn negated(mut self) -> Self {
        self.negated = !self.negated;
        self
    }
}

impl ConditionPlace {
    fn is(self, test: ConditionTest) -> Condition {
        Condition { step: self.step, pointer: self.pointer, test, negated: false }
    }

    /// There is something, other than null.
    #[must_use]
    pub fn present(self) -> Condition {
        self.is(ConditionTest::Present)
    }

    /// There is something other than null, false, 0, "", [] and {}.
    #[must_use]
    pub fn truthy(self) -> Condition {
        self.is(ConditionTest::Truthy)
    }

    /// There is this value.
    #[must_use]
    pub fn equals(self, value: impl Into<serde_json::Value>) -> Condition {
        self.is(ConditionTest::Equals(value.into().to_string()))
    }
}

/// Of a workflow that is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowStatus {
    /// What a run that is started now does.
    pub definition: WorkflowDefinition,
    /// Runs that have not ended, by whichever definition.
    pub active: u64,
}

impl WorkflowDefinition {
    pub(super) fn checked(self) -> Result<contract::Definition, Error> {
        let id = args::name("id", &self.id)?;
        let count = self.steps.len();
        if count == 0 || count > MAX_WORKFLOW_STEPS {
            return Err(Error::invalid(format!(
                "steps has {count} items, must be 1 to {MAX_WORKFLOW_STEPS}"
            )));
        }
        let mut ids = HashSet::with_capacity(count);
        for step in &self.steps {
            if !ids.insert(step.id.as_str()) {
                return Err(Error::invalid(format!("steps has {:?} twice", step.id)));
            }
        }
        let result_from =
            self.result_from.map(|step| args::name("result_from", &step)).transpose()?;
        Ok(contract::Definition {
            id,
            steps: self.steps.into_iter().map(StepDefinition::checked).collect::<Result<_, _>>()?,
            result_from,
            timeout_ms: args::moment("timeout", self.timeout)?,
            retention_ms: self.retention.map(args::millis),
            finish: self.finish,
        })
    }
}

impl StepDefinition {
    fn checked(self) -> Result<contract::Step, Error> {
        let id = args::name("the id of a step", &self.id)?;
        if id == FINISH {
            return Err(Error::invalid(
                "a step has the id \"finish\", which names the end of a run; call it otherwise",
            ));
        }
        let within = |error: Error| Error::invalid(format!("step {id:?}: {}", error.message()));
        if self.after.len() > MAX_WORKFLOW_STEPS {
            return Err(within(Error::invalid(format!(
                "after has more than {MAX_WORKFLOW_STEPS} items"
            ))));
        }
        if self.retries.attempts == 0 {
            return Err(within(Error::invalid("attempts is 0, must be at least 1")));
        }
        let names = |step: &String| args::name("after", step);
        Ok(contract::Step {
            after: self.after.iter().map(names).collect::<Result<_, _>>().map_err(within)?,
            when: self.when.into_iter().map(contract::Condition::from).collect(),
            work: self.work.checked().map_err(within)?,
            retries: self.retries.into(),
            timeout_ms: args::moment("timeout", self.timeout).map_err(within)?,
            on_failure: self.on_failure.into(),
            compensates: self.compensates,
            id,
        })
    }
}

impl StepWork {
    fn checked(self) -> Result<contract::Work, Error> {
        Ok(match self {
            Self::Handler => contract::Work::Handler,
            Self::Wait => contract::Work::Wait,
            Self::Nested { workflow, input_from } => {
                let workflow = args::name("workflow", &workflow)?;
                let step = input_from.map(|step| args::name("input_from", &step)).transpose()?;
                contract::Work::Nested((workflow, step))
            }
        })
    }
}

impl From<contract::Work> for StepWork {
    fn from(work: contract::Work) -> Self {
        match work {
            contract::Work::Handler => Self::Handler,
            contract::Work::Wait => Self::Wait,
            contract::Work::Nested((workflow, input_from)) => Self::Nested { workflow, input_from },
        }
    }
}

impl From<Retries> for contract::Retries {
    fn from(retries: Retries) -> Self {
        Self {
            attempts: retries.attempts,
            initial_ms: args::millis(retries.initial),
            max_ms: args::millis(retries.max),
            automatic: retries.automatic,
        }
    }
}

impl From<contract::Retries> for Retries {
    fn from(retries: contract::Retries) -> Self {
        Self {
            attempts: retries.attempts,
            initial: Duration::from_millis(retries.initial_ms),
            max: Duration::from_millis(retries.max_ms),
            automatic: retries.automatic,
        }
    }
}

impl From<OnFailure> for contract::Failure {
    fn from(failure: OnFailure) -> Self {
        match failure {
            OnFailure::Revert => Self::Revert,
            OnFailure::Proceed => Self::Proceed,
            OnFailure::SkipTo(step) => Self::SkipTo(step),
            OnFailure::SkipRest => Self::SkipRest,
        }
    }
}

impl From<contract::Failure> for OnFailure {
    fn from(failure: contract::Failure) -> Self {
        match failure {
            contract::Failure::Revert => Self::Revert,
            contract::Failure::Proceed => Self::Proceed,
            contract::Failure::SkipTo(step) => Self::SkipTo(step),
            contract::Failure::SkipRest => Self::SkipRest,
        }
    }
}

impl From<Condition> for contract::Condition {
    fn from(condition: Condition) -> Self {
        Self {
            source: match condition.step {
                None => contract::Source::Input,
                Some(step) => contract::Source::Step(step),
            },
            pointer: condition.pointer,
            test: match condition.test {
                ConditionTest::Present => contract::Test::Present,
                ConditionTest::Truthy => contract::Test::Truthy,
                ConditionTest::Equals(json) => contract::Test::Equals(json),
            },
            negated: condition.negated,
        }
    }
}

impl From<contract::Condition> for Condition {
    fn from(condition: contract::Condition) -> Self {
        Self {
            step: match condition.source {
                contract::Source::Input => None,
                contract::Source::Step(step) => Some(step),
            },
            pointer: condition.pointer,
            test: match condition.test {
                contract::Test::Present => ConditionTest::Present,
                contract::Test::Truthy => ConditionTest::Truthy,
                contract::Test::Equals(json) => ConditionTest::Equals(json),
            },
            negated: condition.negated,
        }
    }
}

impl From<contract::WorkflowStatus> for WorkflowStatus {
    fn from(status: contract::WorkflowStatus) -> Self {
        let contract::Definition { id, steps, result_from, timeout_ms, retention_ms, finish } =
            status.definition;
        let definition = WorkflowDefinition {
            id,
            steps: steps.into_iter().map(StepDefinition::from).collect(),
            result_from,
            timeout: timeout_ms.map(Duration::from_millis),
            retention: retention_ms.map(Duration::from_millis),
            finish,
        };
        Self { definition, active: status.active }
    }
}

impl From<contract::Step> for StepDefinition {
    fn from(step: contract::Step) -> Self {
        Self {
            id: step.id,
            after: step.after,
            when: step.when.into_iter().map(Condition::from).collect(),
            work: step.work.into(),
            retries: step.retries.into(),
            timeout: step.timeout_ms.map(Duration::from_millis),
            on_failure: step.on_failure.into(),
            compensates: step.compensates,
        }
    }
}
