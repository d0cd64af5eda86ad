//! Conditions: which steps are done at all.

use stheno::{Condition, ConditionTest, StepDefinition, TaskVerdict, Workflows};

use super::{Subject, done, step};
use crate::case::Case;
use crate::check::{Outcome, equal};

pub(crate) const CASES: &[Case] = cases! {
    Workflows:
    "workflows.conditions.pointer" =>
        "A condition looks where its JSON pointer says, the empty one at the whole.", pointer;
    "workflows.conditions.truthy" =>
        "`truthy` holds for what is there and not null, false, 0, an empty text, list or object.", truthy;
    "workflows.conditions.equals" =>
        "`equals` compares numbers as numbers, objects without regard to order, and everything else exactly.",
        equals;
    "workflows.conditions.nothing" =>
        "In what is not JSON, and in a step without a result, there is nothing.", nothing;
    "workflows.conditions.results" =>
        "A condition may look at the result of a step that its own comes after, directly or through others.",
        of_results;
    "workflows.conditions.all" =>
        "A step is done if all its conditions hold, else it is `skipped` and what comes after goes on.", all;
};

/// Does a run of one step for each condition; those begin whose condition should
/// hold, and as negated those that should not.
async fn hold(s: &Subject, name: &str, input: &str, conditions: &[(Condition, bool)]) -> Outcome {
    for negated in [false, true] {
        let workflow = format!("{name} {negated}");
        let condition = |condition: &Condition| match negated {
            true => condition.clone().negated(),
            false => condition.clone(),
        };
        let steps = conditions.iter().enumerate().map(|(n, (when, _))| StepDefinition {
            when: vec![condition(when)],
            ..step(&n.to_string(), &[])
        });
        s.define(&workflow, steps.collect()).await?;
        s.run_on(&workflow, &workflow, input).await?;
        let tasks = s.pull(&workflow).await?;
        for (n, (condition, expected)) in conditions.iter().enumerate() {
            let begun = tasks.iter().any(|task| task.step == n.to_string());
            let (pointer, test) = (&condition.pointer, &condition.test);
            let what =
                format!("whether {test:?} holds at {pointer:?} of {input}, negated {negated}");
            equal(&what, begun != negated, *expected)?;
        }
    }
    Ok(())
}

fn at(pointer: &str, test: ConditionTest) -> Condition {
    Condition { step: None, pointer: pointer.to_owned(), test, negated: false }
}

async fn pointer(s: Subject) -> Outcome {
    let input = r#"{"a": {"b": [null, false, 0]}, "n": null, "": "", "x/y": 1, "m~n": 1, "1": {}}"#;
    let all = [
        ("", true),
        ("/a", true),
        ("/a/b", true),
        ("/a/b/0", false),
        ("/a/b/1", true),
        ("/a/b/2", true),
        ("/a/b/3", false),
        ("/a/b/-", false),
        ("/a/c", false),
        ("/A", false),
        ("/n", false),
        ("/n/x", false),
        ("/", true),
        ("/x~1y", true),
        ("/x/y", false),
        ("/m~0n", true),
        ("/1", true),
    ];
    let all = all.map(|(pointer, holds)| (at(pointer, ConditionTest::Present), holds));
    hold(&s, "w", input, &all).await
}

async fn truthy(s: Subject) -> Outcome {
    for (n, (input, expected)) in [
        ("true", true),
        ("1", true),
        ("-0.5", true),
        ("\"0\"", true),
        ("[0]", true),
        ("{\"a\": null}", true),
        ("null", false),
        ("false", false),
        ("0", false),
        ("0.0", false),
        ("\"\"", false),
        ("[]", false),
        ("{}", false),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("w{n}");
        hold(&s, &name, input, &[(at("", ConditionTest::Truthy), expected)]).await?;
    }
    hold(&s, "w", "{\"a\": 1}", &[(at("/b", ConditionTest::Truthy), false)]).await
}

async fn equals(s: Subject) -> Outcome {
    let input = r#"{"one": 1, "big": 9007199254740993, "text": "ü", "list": [1, 2],
        "object": {"a": 1, "b": {"c": [true], "d": null}}, "no": false}"#;
    let all = [
        ("/one", "1", true),
        ("/one", "1.0", true),
        ("/one", "10e-1", true),
        ("/one", "2", false),
        ("/one", "\"1\"", false),
        ("/one", "true", false),
        ("/big", "9007199254740993", true),
        ("/text", "\"\\u00fc\"", true),
        ("/text", "\"u\"", false),
        ("/list", "[1, 2.0]", true),
        ("/list", "[2, 1]", false),
        ("/list", "[1]", false),
        ("/object", r#"{"b": {"d": null, "c": [true]}, "a": 1}"#, true),
        ("/object", r#"{"a": 1}"#, false),
        ("/object/b", r#"{"c": [true]}"#, false),
        ("/no", "false", true),
        ("/no", "0", false),
        ("/none", "1", false),
    ];
    let all = all.map(|(pointer, value, holds)| {
        (at(pointer, ConditionTest::Equals(value.to_owned())), holds)
    });
    hold(&s, "w", input, &all).await
}

fn none_of() -> [(Condition, bool); 3] {
    let equals = ConditionTest::Equals("1".to_owned());
    [ConditionTest::Present, ConditionTest::Truthy, equals].map(|test| (at("", test), false))
}

async fn nothing(s: Subject) -> Outcome {
    for (name, input) in [("text", "1 and more"), ("empty", ""), ("open", "{\"a\": 1")] {
        hold(&s, name, input, &none_of()).await?;
    }
    let of_a = |(condition, _)| Condition { step: Some("a".to_owned()), ..condition };
    let steps = none_of().map(of_a).into_iter().enumerate().map(|(n, condition)| StepDefinition {
        when: vec![condition],
        ..step(&n.to_string(), &["a"])
    });
    s.define("w", std::iter::once(step("a", &[])).chain(steps).collect()).await?;
    s.run_on("w", "r", "1").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, TaskVerdict::Skipped).await?;
    s.idle("w").await?;
    s.stands("r", "done: a skipped, 0 skipped, 1 skipped, 2 skipped").await
}

async fn of_results(s: Subject) -> Outcome {
    let when = |id: &str, after: &[&str], condition| StepDefinition {
        when: vec![condition],
        ..step(id, after)
    };
    let paid = || Condition::result("a", "/paid");
    let steps = vec![
        step("a", &[]),
        when("direct", &["a"], paid().equals(true)),
        when("not", &["a"], paid().equals(true).negated()),
        step("b", &["a"]),
        when("through", &["b"], paid().truthy()),
        when("input", &["b"], Condition::input("/paid").present()),
    ];
    s.define("w", steps).await?;
    s.run("w", "r").await?;
    let [a] = s.takes("w", ["a"]).await?;
    s.settle(&a, done("{\"paid\": true}")).await?;
    s.does("w", ["direct", "b"]).await?;
    s.does("w", ["through"]).await?;
    let expected = "done: a done, direct done, not skipped, b done, through done, input skipped";
    s.stands("r", expected).await
}

async fn all(s: Subject) -> Outcome {
    let yes = || Condition::input("/yes").truthy();
    let no = || Condition::input("/no").truthy();
    let when = |id: &str, after: &[&str], when| StepDefinition { when, ..step(id, after) };
    let steps = vec![
        when("both", &[], vec![yes(), no().negated()]),
        when("one", &[], vec![yes(), no()]),
        when("next", &["one"], vec![no()]),
        step("last", &["both", "next"]),
    ];
    s.define("w", steps).await?;
    s.run_on("w", "r", "{\"yes\": 1}").await?;
    s.does("w", ["both"]).await?;
    s.does("w", ["last"]).await?;
    s.stands("r", "done: both done, one skipped, next skipped, last done").await?;
    s.define("none", vec![when("a", &[], vec![no()])]).await?;
    s.run("none", "q").await?;
    s.stands("q", "done: a skipped").await
}
