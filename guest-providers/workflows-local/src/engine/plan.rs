//! A definition that was checked, as runs use it.

use std::rc::Rc;

use stheno_sdk::workflows::{Definition, Failure, Retries, Source, Step, Work};
use stheno_sdk::{Error, Result};

use super::bits::Bits;
use super::condition::Condition;
use super::journal::Row;
use super::rows;
use super::usage::{Charge, Usage};

/// Steps in one workflow.
pub(super) const MAX_STEPS: usize = 256;

/// What one definition takes at most in the store, which has rows of 2 MiB.
const MAX_BYTES: usize = 1 << 20;

/// A step of a plan. Other steps are named by their place.
pub(super) struct Planned {
    pub(super) id: Rc<str>,
    pub(super) after: Vec<u16>,
    /// Steps that come directly after this one.
    pub(super) before: Vec<u16>,
    /// All that come before it, directly or through others.
    pub(super) ancestors: Bits,
    /// All that come after it.
    pub(super) descendants: Bits,
    /// Where each looks: none is the input.
    pub(super) when: Vec<(Option<u16>, Condition)>,
    pub(super) work: Does,
    pub(super) retries: Retries,
    pub(super) timeout_ms: Option<u64>,
    pub(super) on_failure: Then,
    pub(super) compensates: bool,
    /// Its line among those of the workflow.
    pub(super) lane: usize,
}

/// See [`Work`].
pub(super) enum Does {
    Handler,
    Wait,
    /// The workflow, and the step whose result is its input.
    Nested(Rc<str>, Option<u16>),
}

/// See [`Failure`].
#[derive(Clone, Copy)]
pub(super) enum Then {
    Revert,
    Proceed,
    /// The steps to pass over.
    PassOver(Bits),
}

/// A definition, kept as long as it is the one in force or a run uses it.
pub(super) struct Plan {
    /// Never given twice; its row.
    pub(super) serial: u64,
    /// The place of its workflow.
    pub(super) workflow: usize,
    pub(super) definition: Definition,
    pub(super) steps: Vec<Planned>,
    pub(super) result_from: u16,
    pub(super) row: Row,
    /// Given back with the plan.
    _charge: Charge,
}

impl Plan {
    /// Checks a definition. `lane` gives the line of a step by its id.
    pub(super) fn new(
        definition: Definition,
        serial: u64,
        workflow: usize,
        row: Row,
        usage: &Usage,
        mut lane: impl FnMut(&Rc<str>) -> usize,
    ) -> Result<Self> {
        let parts = check(&definition)?;
        let encoded = rows::definition(&definition).len();
        if encoded > MAX_BYTES {
            return Err(Error::InvalidArgument(format!(
                "workflow `{}`: its definition takes {encoded} bytes; write shorter conditions, so that it \
                 takes at most {MAX_BYTES}",
                definition.id
            )));
        }
        let Parts { mut steps, result_from } = parts;
        for step in &mut steps {
            step.lane = lane(&step.id);
        }
        let charge = Charge::new(bytes(&definition, encoded), usage);
        Ok(Self { serial, workflow, definition, steps, result_from, row, _charge: charge })
    }

    pub(super) fn step(&self, place: u16) -> Option<&Planned> {
        self.steps.get(usize::from(place))
    }

    /// The place of a step.
    pub(super) fn find(&self, id: &str) -> Option<u16> {
        self.steps.iter().position(|step| &*step.id == id).and_then(|at| u16::try_from(at).ok())
    }
}

/// What a definition counts in `max_bytes`.
fn bytes(definition: &Definition, encoded: usize) -> u64 {
    (encoded + 256 * (definition.steps.len() + 1)) as u64
}

struct Parts {
    steps: Vec<Planned>,
    result_from: u16,
}

fn check(definition: &Definition) -> Result<Parts> {
    let name = &definition.id;
    let invalid = |text: String| Error::InvalidArgument(format!("workflow `{name}`: {text}"));
    let count = definition.steps.len();
    if count == 0 || count > MAX_STEPS {
        return Err(invalid(format!("it has {count} steps; write 1 to {MAX_STEPS}")));
    }
    let mut steps: Vec<Planned> = Vec::with_capacity(count);
    for (step, place) in definition.steps.iter().zip(0u16..) {
        let planned = check_step(step, &steps)
            .map_err(|text| invalid(format!("step `{}`: {text}", step.id)))?;
        for &earlier in &planned.after {
            if let Some(earlier) = steps.get_mut(usize::from(earlier)) {
                earlier.before.push(place);
            }
        }
        for ancestor in planned.ancestors.iter() {
            if let Some(ancestor) = steps.get_mut(usize::from(ancestor)) {
                ancestor.descendants.insert(place);
            }
        }
        steps.push(planned);
    }
    let find = |steps: &[Planned], id: &str| steps.iter().position(|step| &*step.id == id);
    for at in 0..count {
        let Some(step) = definition.steps.get(at) else { continue };
        let Some(planned) = steps.get(at) else { continue };
        let then = match &step.on_failure {
            Failure::Revert => Then::Revert,
            Failure::Proceed => Then::Proceed,
            Failure::SkipRest => Then::PassOver(planned.descendants),
            Failure::SkipTo(target) => {
                let target = find(&steps, target)
                    .and_then(|at| u16::try_from(at).ok())
                    .filter(|&at| planned.descendants.contains(at))
                    .and_then(|at| steps.get(usize::from(at)))
                    .ok_or_else(|| {
                        invalid(format!(
                            "step `{}`: `skip-to` names `{target}`, which does not come after it; name a step \
                             that does",
                            step.id
                        ))
                    })?;
                Then::PassOver(planned.descendants.and(target.ancestors))
            }
        };
        if let Some(planned) = steps.get_mut(at) {
            planned.on_failure = then;
        }
    }
    let result_from = match &definition.result_from {
        None => count - 1,
        Some(id) => find(&steps, id).ok_or_else(|| {
            invalid(format!("`result-from` names `{id}`, which is none of its steps"))
        })?,
    };
    Ok(Parts { steps, result_from: u16::try_from(result_from).unwrap_or_default() })
}

/// Checks a step against those that stand before it.
fn check_step(step: &Step, earlier: &[Planned]) -> std::result::Result<Planned, String> {
    let find = |id: &str| {
        earlier.iter().position(|step| &*step.id == id).and_then(|at| u16::try_from(at).ok())
    };
    if step.id.is_empty() {
        return Err("its id is empty; write 1 to 255 bytes".to_owned());
    }
    if step.id == "finish" {
        return Err("this id stands for the task at the end of a run; take another".to_owned());
    }
    if find(&step.id).is_some() {
        return Err("there are two of this id; each needs its own".to_owned());
    }
    let (mut after, mut ancestors) = (Vec::with_capacity(step.after.len()), Bits::default());
    for id in &step.after {
        let at = find(id).ok_or_else(|| {
            format!("it comes after `{id}`, which does not stand before it in the list")
        })?;
        if !after.contains(&at) {
            after.push(at);
        }
        ancestors.insert(at);
        if let Some(earlier) = earlier.get(usize::from(at)) {
            ancestors = ancestors.or(earlier.ancestors);
        }
    }
    let ancestor = |id: &str, what: &str| {
        find(id).filter(|&at| ancestors.contains(at)).ok_or_else(|| {
            format!(
                "{what} names the step `{id}`, which it does not come after; list it in `after`"
            )
        })
    };
    let mut when = Vec::with_capacity(step.when.len());
    for condition in &step.when {
        let source = match &condition.source {
            Source::Input => None,
            Source::Step(id) => Some(ancestor(id, "a condition")?),
        };
        when.push((
            source,
            Condition::new(&condition.pointer, &condition.test, condition.negated)?,
        ));
    }
    let work = match &step.work {
        Work::Handler => Does::Handler,
        Work::Wait => Does::Wait,
        Work::Nested((workflow, input)) => {
            let input = input.as_deref().map(|id| ancestor(id, "the nested run's input"));
            Does::Nested(Rc::from(workflow.as_str()), input.transpose()?)
        }
    };
    if step.retries.attempts == 0 {
        return Err("`attempts` is 0; write at least 1".to_owned());
    }
    if step.timeout_ms == Some(0) {
        return Err("`timeout-ms` is 0; write at least 1, or leave it out".to_owned());
    }
    Ok(Planned {
        id: Rc::from(step.id.as_str()),
        after,
        before: Vec::new(),
        ancestors,
        descendants: Bits::default(),
        when,
        work,
        retries: step.retries,
        timeout_ms: step.timeout_ms,
        on_failure: Then::Revert,
        compensates: step.compensates,
        lane: 0,
    })
}
