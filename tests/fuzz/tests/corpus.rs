//! What is kept in the corpus, against the targets.

use std::collections::BTreeSet;
use std::path::Path;

use stheno_fuzz::TARGETS;

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

#[test]
fn each_target_keeps_its_promise_on_all_that_was_kept() {
    for target in TARGETS {
        let inputs = std::fs::read_dir(corpus().join(target.name))
            .unwrap_or_else(|error| panic!("{}: {error}", target.name));
        let mut any = false;
        for input in inputs {
            let input = input.unwrap().path();
            eprintln!("{}: {}", target.name, input.display());
            (target.run)(&std::fs::read(input).unwrap());
            any = true;
        }
        assert!(any, "{} has no corpus", target.name);
    }
}

#[test]
fn no_corpus_is_without_its_target() {
    let folders = std::fs::read_dir(corpus()).unwrap();
    let folders: BTreeSet<String> =
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    let names = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, names);
}
