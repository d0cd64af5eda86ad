//! Patterns in which `*` stands for any run of characters.

/// A pattern: `*` stands for any run of characters, none included; every other
/// character stands for itself. A pattern matches whole texts.
///
/// Matching takes time linear in the text, whatever the pattern: what stands
/// between two stars is looked for once, from left to right, and the first
/// place found is as good as any later one, so nothing is ever tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    head: String,
    /// What stands between the first and the last star, without empty parts.
    middle: Vec<String>,
    /// None: there is no star, and the head is the whole text.
    tail: Option<String>,
}

impl Glob {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let Some((head, rest)) = pattern.split_once('*') else {
            return Self { head: pattern.to_owned(), middle: Vec::new(), tail: None };
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        Self {
            head: head.to_owned(),
            middle: middle.split('*').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            tail: Some(tail.to_owned()),
        }
    }

    /// Whether the whole text fits the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some(tail) = &self.tail else {
            return text == self.head;
        };
        let Some(text) = text.strip_prefix(self.head.as_str()) else {
            return false;
        };
        let Some(mut text) = text.strip_suffix(tail.as_str()) else {
            return false;
        };
        for part in &self.middle {
            match text.split_once(part.as_str()) {
                Some((_, after)) => text = after,
                None => return false,
            }
        }
        true
    }

    /// The one text that the pattern matches, if it has no star.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        self.tail.is_none().then_some(self.head.as_str())
    }

    /// Whether every text matches.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.head.is_empty() && self.middle.is_empty() && self.tail.as_deref() == Some("")
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;
    use proptest::prelude::*;

    /// The definition, written as recursion over characters.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((&'*', rest)) => (0..=text.len()).any(|n| defined(rest, &text[n..])),
            Some((c, rest)) => {
                text.split_first().is_some_and(|(t, left)| t == c && defined(rest, left))
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn matching_agrees_with_the_definition(pattern in "[abé*]{0,8}", text in "[abé]{0,10}") {
            let (p, t): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::new(&pattern).matches(&text), defined(&p, &t));
        }

        #[test]
        fn a_pattern_without_a_star_matches_itself_alone(pattern in "[^*]{0,12}", text in ".{0,12}") {
            let glob = Glob::new(&pattern);
            prop_assert!(glob.matches(&pattern));
            prop_assert_eq!(glob.literal(), Some(pattern.as_str()));
            prop_assert_eq!(glob.matches(&text), pattern == text);
        }

        #[test]
        fn only_stars_match_everything(stars in "[*]{1,4}", text in ".{0,20}") {
            prop_assert!(Glob::new(&stars).is_any());
            prop_assert!(Glob::new(&stars).matches(&text));
        }
    }

    #[test]
    fn stars_do_not_multiply_the_time() {
        // Backtracking would need about 20,000 to the power of 500 steps here.
        let pattern = "*a".repeat(500) + "*b";
        assert!(!Glob::new(&pattern).matches(&"a".repeat(20_000)));
    }

    #[test]
    fn head_and_tail_do_not_share_characters() {
        assert!(!Glob::new("ab*ba").matches("aba"));
        assert!(Glob::new("ab*ba").matches("abba"));
    }

    #[test]
    fn dots_are_characters_like_others() {
        for name in ["order.placed", "order.item.added", "order."] {
            assert!(Glob::new("order.*").matches(name), "{name}");
        }
        assert!(!Glob::new("order.*").matches("order"));
        assert!(!Glob::new("order.*").matches("orders.placed"));
    }
}
