//! Who waits in the same runtime, and what is to be told them.
//!
//! A ticket begins with the name of the instance that made it. All instances of a
//! runtime share who waits, and the host asks any of them; so the names that one meets
//! in what it is asked are those of its neighbours. A change that this instance makes
//! is told with its own answer to whoever waits at them, and to nobody else.

use std::collections::HashMap;

use stheno_sdk::locking::Turn;

use crate::table::Told;

/// So many digits of a ticket name its instance.
const NAME: usize = 16;
/// The most neighbours that are known. Who is at one that is not hears by the news.
const MOST: usize = 32;
/// The most turns that are kept. The host asks for them at once; what it leaves, since
/// nobody waits for it any more, was given up.
const MOST_KEPT: usize = 10_000;

pub(crate) struct Neighbours {
    /// This instance first.
    names: Vec<String>,
    kept: HashMap<String, Turn>,
    /// When it is worth looking again, on this instance's clock.
    due: Option<u64>,
}

impl Neighbours {
    pub(crate) fn of(seed: u64) -> Self {
        Self { names: vec![format!("{seed:016x}")], kept: HashMap::new(), due: None }
    }

    pub(crate) fn own(&self) -> &str {
        self.names.first().map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.names
    }

    /// Whether who waits with this ticket is here.
    pub(crate) fn has(&self, ticket: &str) -> bool {
        ticket.get(..NAME).is_some_and(|name| self.names.iter().any(|known| known == name))
    }

    /// Takes those for neighbours whose tickets the host asks after.
    pub(crate) fn meet(&mut self, tickets: &[String]) {
        for ticket in tickets {
            if self.has(ticket) {
                continue;
            }
            let Some(name) = ticket.get(..NAME) else { continue };
            if self.names.len() == MOST {
                self.names.remove(1);
            }
            self.names.push(name.to_owned());
        }
    }

    /// Keeps turns until they are asked for, and gives their tickets.
    pub(crate) fn keep(&mut self, told: Told, now: u64) -> Vec<String> {
        if told.turns.is_empty() {
            return Vec::new();
        }
        if self.kept.len() + told.turns.len() > MOST_KEPT {
            self.kept.clear();
        }
        self.due = told.next_due_ms.map(|ms| now.saturating_add(ms));
        let tickets = told.turns.iter().map(|(ticket, _)| ticket.clone()).collect();
        self.kept.extend(told.turns);
        tickets
    }

    /// Gives the turns that are kept for these tickets, and leaves the others.
    pub(crate) fn tell(&mut self, tickets: &mut Vec<String>) -> Vec<(String, Turn)> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let mut turns = Vec::new();
        tickets.retain_mut(|ticket| match self.kept.remove(ticket) {
            Some(turn) => {
                turns.push((std::mem::take(ticket), turn));
                false
            }
            None => true,
        });
        turns
    }

    /// In how many milliseconds it is worth looking again, as of what was kept last.
    pub(crate) fn due_in(&self, now: u64) -> Option<u64> {
        self.due.map(|due| due.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tickets: &[&str]) -> Told {
        let turns = tickets.iter().map(|&ticket| (ticket.to_owned(), Turn::Gone)).collect();
        Told { turns, next_due_ms: Some(300) }
    }

    #[test]
    fn who_was_asked_after_here_is_a_neighbour_and_nobody_else() {
        let mut neighbours = Neighbours::of(0xab);
        assert_eq!(neighbours.own(), "00000000000000ab");
        assert!(neighbours.has("00000000000000ab.1f"));
        let other = "11111111111111cd.1".to_owned();
        assert!(!neighbours.has(&other));
        neighbours.meet(&[other.clone(), other.clone(), "short".into()]);
        assert!(neighbours.has(&other) && !neighbours.has("short"));
        assert_eq!(neighbours.all().len(), 2);
    }

    #[test]
    fn however_many_were_met_this_instance_and_the_last_ones_are_known() {
        let mut neighbours = Neighbours::of(0);
        let tickets: Vec<_> = (1..=100).map(|number| format!("{number:016x}.1")).collect();
        neighbours.meet(&tickets);
        assert_eq!(neighbours.all().len(), MOST);
        assert!(neighbours.has("0000000000000000.9") && neighbours.has(&tickets[99]));
        assert!(!neighbours.has(&tickets[0]));
    }

    #[test]
    fn a_turn_is_told_once_and_only_to_who_asks_for_it() {
        let mut neighbours = Neighbours::of(0);
        assert_eq!(neighbours.keep(told(&["a", "b"]), 1_000), ["a", "b"]);
        let mut asked = vec!["x".to_owned(), "b".into(), "y".into()];
        let turns = neighbours.tell(&mut asked);
        assert!(matches!(turns.as_slice(), [(ticket, Turn::Gone)] if ticket == "b"));
        assert_eq!(asked, ["x", "y"]);
        assert!(neighbours.tell(&mut vec!["b".into()]).is_empty());
        assert_eq!(neighbours.tell(&mut vec!["a".into()]).len(), 1);
        assert_eq!((neighbours.due_in(1_100), neighbours.due_in(2_000)), (Some(200), Some(0)));
    }
}
