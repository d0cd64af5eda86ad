//! Runs that have ended.
//!
//! One that has a parent is kept as long as the parent: undoing that means
//! cancelling this.

use super::rows::{Key, Part};
use super::run::Kept;
use super::{Engine, Now, moment};

/// Runs that are forgotten in one call because their time is over. Those that
/// are left cannot be seen any more.
const MAX_EXPIRED: usize = 1_000;

impl Engine {
    /// Lets the retention of an ended run begin, unless something still holds it.
    pub(super) fn keep(&mut self, slot: usize, now: Now) {
        let Some(run) = self.runs.get(slot) else { return };
        let is_held =
            run.parent.as_ref().is_some_and(|parent| self.by_serial.contains_key(&parent.serial));
        if run.finish.is_some() || run.kept.is_some() || is_held {
            return;
        }
        let retention = run.plan.definition.retention_ms.unwrap_or(self.limits.retention_ms);
        let ended = run.ended_ms.unwrap_or(now.unix_ms);
        let expires = moment(ended.saturating_add(retention), now);
        let place = self.take_place();
        let Some(run) = self.runs.get_mut(slot) else { return };
        run.kept = Some(Kept { expires, place });
        self.expiring.insert((expires, slot));
        if !run.named {
            self.droppable.insert((place, slot));
        }
    }

    /// Ends the retention of a run that goes on.
    pub(super) fn keep_no_more(&mut self, slot: usize) {
        if let Some(kept) = self.runs.get_mut(slot).and_then(|run| run.kept.take()) {
            self.expiring.remove(&(kept.expires, slot));
            self.droppable.remove(&(kept.place, slot));
        }
    }

    /// Forgets what has been kept long enough.
    pub(super) fn expire(&mut self, now: Now) {
        for _ in 0..MAX_EXPIRED {
            let Some(&(_, slot)) = self.expiring.first().filter(|first| first.0 <= now.ms) else {
                break;
            };
            self.forget(slot);
        }
        self.free_children(now);
        self.trim();
    }

    /// Forgets the oldest ended runs beyond those that are to be kept.
    pub(super) fn trim(&mut self) {
        while self.droppable.len() > self.limits.history && self.drop_oldest() {}
    }

    /// Forgets the oldest ended run that nobody named.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some(&(_, slot)) = self.droppable.first() else { return false };
        self.forget(slot);
        true
    }

    /// Forgets a run that has ended.
    pub(super) fn forget(&mut self, slot: usize) {
        self.keep_no_more(slot);
        let Some(run) = self.runs.try_remove(slot) else { return };
        self.by_id.remove(&run.id);
        self.by_serial.remove(&run.serial);
        if let Some(journal) = &self.log {
            let key = |part| Key::Run(run.serial, part);
            journal.delete(key(Part::Header));
            journal.delete(key(Part::State));
            for (step, place) in run.steps.iter().zip(0u16..) {
                if step.has_row() {
                    journal.delete(key(Part::Invoke(place)));
                }
                if step.undo.is_some() {
                    journal.delete(key(Part::Undo(place)));
                }
            }
        }
        self.orphans.extend(run.steps.iter().filter_map(|step| step.child));
        let workflow = run.plan.workflow;
        // With it perhaps the plan.
        drop(run);
        if let Some(workflow) = self.workflows.get_mut(workflow) {
            workflow.runs = workflow.runs.saturating_sub(1);
        }
        self.workflows.tidy(workflow);
    }

    /// Lets the retention of runs begin whose parent is gone.
    pub(super) fn free_children(&mut self, now: Now) {
        while let Some(serial) = self.orphans.pop() {
            let Some(&slot) = self.by_serial.get(&serial) else { continue };
            if self.runs.get(slot).is_some_and(super::Run::has_ended) {
                self.keep(slot, now);
            }
        }
    }
}
