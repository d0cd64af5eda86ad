//! The workflows, and the lines in which their tasks wait.
//!
//! A line holds the tasks of the steps of one id, whatever definition they are
//! from, in the order in which they came due.

use std::collections::BTreeMap;
use std::rc::Rc;

use hashbrown::HashMap;
use slab::Slab;

use super::Hasher;
use super::plan::Plan;
use super::run::Job;

/// The line of the tasks that tell how a run has ended.
pub(super) const FINISH: usize = 0;

pub(super) type Lane = BTreeMap<u64, (usize, Job)>;

/// A workflow that is defined, or has runs.
pub(super) struct Workflow {
    pub(super) id: Rc<str>,
    /// None: it is not defined any more.
    pub(super) plan: Option<Rc<Plan>>,
    pub(super) lanes: Vec<Lane>,
    names: HashMap<Rc<str>, usize, Hasher>,
    /// Runs that have not ended.
    pub(super) active: u64,
    /// Runs, ended ones too.
    pub(super) runs: u64,
}

impl Workflow {
    /// The line of a step, which is made if there is none.
    pub(super) fn lane(&mut self, step: &Rc<str>) -> usize {
        if let Some(&lane) = self.names.get(step) {
            return lane;
        }
        let lane = self.lanes.len();
        self.lanes.push(Lane::new());
        self.names.insert(Rc::clone(step), lane);
        lane
    }

    /// The line of a step, if it has one.
    pub(super) fn find_lane(&self, step: &str) -> Option<usize> {
        self.names.get(step).copied()
    }

    /// Takes a definition in, and gives the one before it. Lines of steps that are
    /// in no definition any more are forgotten, if that is sure.
    pub(super) fn define(&mut self, mut plan: Plan) -> Option<Rc<Plan>> {
        if self.runs == 0 {
            self.clear_lanes();
            for step in &mut plan.steps {
                step.lane = self.lane(&step.id);
            }
        }
        self.plan.replace(Rc::new(plan))
    }

    fn clear_lanes(&mut self) {
        self.lanes.clear();
        self.names.clear();
        self.lane(&Rc::from("finish"));
    }
}

pub(super) struct Workflows {
    all: Slab<Workflow>,
    by_id: HashMap<Rc<str>, usize, Hasher>,
    hasher: Hasher,
}

impl Workflows {
    pub(super) fn new(hasher: Hasher) -> Self {
        Self { all: Slab::new(), by_id: HashMap::with_hasher(hasher.clone()), hasher }
    }

    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, workflow: usize) -> Option<&Workflow> {
        self.all.get(workflow)
    }

    pub(super) fn get_mut(&mut self, workflow: usize) -> Option<&mut Workflow> {
        self.all.get_mut(workflow)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Workflow> {
        self.all.iter().map(|(_, workflow)| workflow)
    }

    /// The place of a workflow, which is made if there is none.
    pub(super) fn open(&mut self, id: &str) -> usize {
        self.find(id).unwrap_or_else(|| {
            let id: Rc<str> = Rc::from(id);
            let place = self.all.insert(Workflow {
                id: Rc::clone(&id),
                plan: None,
                lanes: Vec::new(),
                names: HashMap::with_hasher(self.hasher.clone()),
                active: 0,
                runs: 0,
            });
            self.by_id.insert(id, place);
            if let Some(workflow) = self.all.get_mut(place) {
                workflow.clear_lanes();
            }
            place
        })
    }

    /// Forgets a workflow that nobody needs.
    pub(super) fn tidy(&mut self, place: usize) {
        let is_idle = |workflow: &Workflow| workflow.plan.is_none() && workflow.runs == 0;
        if self.all.get(place).is_some_and(is_idle)
            && let Some(gone) = self.all.try_remove(place)
        {
            self.by_id.remove(&gone.id);
        }
    }
}
