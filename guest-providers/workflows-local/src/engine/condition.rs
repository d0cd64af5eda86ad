//! Conditions: a place in a JSON value, and what must stand there.

use serde_json::Value;
use stheno_sdk::workflows::Test;

/// A condition that was checked, but for where it looks.
pub(super) struct Condition {
    pointer: String,
    test: Expected,
    negated: bool,
}

enum Expected {
    Present,
    Truthy,
    Equals(Value),
}

impl Condition {
    /// Reads a condition; the error says what is wrong with it.
    pub(super) fn new(pointer: &str, test: &Test, negated: bool) -> Result<Self, String> {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!(
                "the pointer `{pointer}` is not a JSON pointer; write one such as `/customer/email`"
            ));
        }
        let test = match test {
            Test::Present => Expected::Present,
            Test::Truthy => Expected::Truthy,
            Test::Equals(text) => Expected::Equals(serde_json::from_str(text).map_err(|err| {
                format!("`equals` is not JSON: {err}; write a value such as `\"paid\"` or `3`")
            })?),
        };
        Ok(Self { pointer: pointer.to_owned(), test, negated })
    }

    /// Whether it holds. A body that is not there or not JSON has nothing in it.
    pub(super) fn holds(&self, body: Option<&[u8]>) -> bool {
        let body: Option<Value> = body.and_then(|body| serde_json::from_slice(body).ok());
        let found = body.as_ref().and_then(|body| body.pointer(&self.pointer));
        let passed = match &self.test {
            Expected::Present => found.is_some_and(|value| !value.is_null()),
            Expected::Truthy => found.is_some_and(truthy),
            Expected::Equals(expected) => found.is_some_and(|value| same(value, expected)),
        };
        passed != self.negated
    }
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Equality in which 1, 1.0 and 1e0 are one number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;
    use stheno_sdk::workflows::Test;

    fn holds(pointer: &str, test: Test, body: &str) -> bool {
        let plain = Condition::new(pointer, &test, false).unwrap().holds(Some(body.as_bytes()));
        let negated = Condition::new(pointer, &test, true).unwrap().holds(Some(body.as_bytes()));
        assert_ne!(plain, negated, "{pointer} {body}");
        plain
    }

    #[test]
    fn present_is_anything_but_null() {
        for (body, expected) in
            [("0", true), ("\"\"", true), ("null", false), ("no json", false), ("", false)]
        {
            assert_eq!(holds("", Test::Present, body), expected, "{body}");
        }
        assert!(holds("/a/1", Test::Present, r#"{"a":[null,false]}"#));
        assert!(!holds("/a/0", Test::Present, r#"{"a":[null,false]}"#));
        assert!(!holds("/b", Test::Present, r#"{"a":1}"#));
        assert!(holds("/a~1b", Test::Present, r#"{"a/b":1}"#));
    }

    #[test]
    fn nothing_and_what_is_empty_is_not_truthy() {
        for body in ["null", "false", "0", "-0.0", "\"\"", "[]", "{}"] {
            assert!(!holds("", Test::Truthy, body), "{body}");
        }
        for body in ["true", "0.5", "\"0\"", "[0]", "{\"a\":null}"] {
            assert!(holds("", Test::Truthy, body), "{body}");
        }
    }

    #[test]
    fn equals_compares_numbers_as_numbers_and_objects_without_order() {
        let equals = |a: &str, b: &str| holds("", Test::Equals(a.to_owned()), b);
        for (a, b) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("18446744073709551615", "18446744073709551615"),
            (r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0],"a":1}"#),
            ("null", "null"),
        ] {
            assert!(equals(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("1", "\"1\""),
            ("9007199254740993", "9007199254740992"),
            ("-1", "18446744073709551615"),
            ("[1,2]", "[2,1]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            ("0", "false"),
        ] {
            assert!(!equals(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_cannot_be_a_condition_says_what_to_write() {
        let wrong = |pointer, test| Condition::new(pointer, test, false).err().unwrap();
        assert!(wrong("a", &Test::Present).contains("/customer/email"));
        assert!(wrong("", &Test::Equals("paid".to_owned())).contains("`\"paid\"`"));
    }
}
