//! The name that was probably meant.

/// Two names are alike from this much on, of 1.0 for equal ones.
const ALIKE: f64 = 0.75;

/// The name of `known` that is nearest to `given`, if one is near.
pub(crate) fn nearest<'k>(given: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&given.to_lowercase(), name)
                    .max(strsim::jaro_winkler(given, name) - 0.1),
                *name,
            )
        })
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// "did you mean `x`? known keys: `x`, `y`" with the second half always.
pub(crate) fn help(given: &str, known: &[&str], what: &str) -> String {
    let list = listed(known);
    match nearest(given, known) {
        Some(name) => format!("did you mean `{name}`? {what}: {list}"),
        None => format!("{what}: {list}"),
    }
}

/// The names in backticks, with commas between.
pub(crate) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_noise_finds_none() {
        let known = ["listen", "token", "max_body"];
        for (given, name) in [
            ("lisen", Some("listen")),
            ("Token", Some("token")),
            ("max-body", Some("max_body")),
            ("maxbody", Some("max_body")),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, &known), name, "{given}");
        }
    }
}
