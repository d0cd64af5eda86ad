//! What the suite says of itself.

use std::collections::BTreeSet;

use stheno::config::ModuleName;
use stheno_conformance::{Applies, Case, cases};

use crate::contract;

fn all() -> impl Iterator<Item = (ModuleName, &'static Case)> {
    ModuleName::ALL.iter().flat_map(|&module| cases(module).into_iter().map(move |it| (module, it)))
}

#[test]
fn ids_are_unique_and_begin_with_their_module() {
    let mut seen = BTreeSet::new();
    for (module, case) in all() {
        assert!(seen.insert(case.id), "{} is there twice", case.id);
        let steps: Vec<_> = case.id.split('.').collect();
        assert_eq!(
            (steps.len(), steps.first().copied()),
            (3, Some(module.as_str())),
            "{}",
            case.id
        );
        let fits = |byte: u8| byte.is_ascii_lowercase() || b".-".contains(&byte);
        assert!(case.id.bytes().all(fits), "{}", case.id);
    }
    assert!(seen.len() > 350, "{}", seen.len());
}

#[test]
fn a_guarantee_is_one_sentence() {
    for (_, case) in all() {
        assert!(case.guarantee.ends_with('.'), "{}: {}", case.id, case.guarantee);
        assert!(!case.guarantee.trim_end_matches('.').contains(". "), "{}", case.id);
    }
}

#[test]
fn each_feature_that_a_contract_names_can_be_left_out_in_a_case_of_its_own() {
    for &module in ModuleName::ALL {
        let contract = contract(module.as_str());
        for case in cases(module) {
            let features: &[&str] = match &case.applies {
                Applies::With(features) => features,
                Applies::Without(feature) => std::slice::from_ref(feature),
                Applies::Always | Applies::Seen => continue,
            };
            for feature in features {
                assert!(contract.contains(&format!("`{feature}`")), "{}: {feature}", case.id);
                let without =
                    cases(module).into_iter().any(|it| it.applies == Applies::Without(feature));
                assert!(without, "no case looks at who leaves `{feature}` out");
            }
        }
    }
}
