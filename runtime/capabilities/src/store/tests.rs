//! The file against a model, and what it must refuse.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use stheno_contracts::Error;
use stheno_contracts::base::stheno::store::types::{Change, Condition, Entry, Range};

use super::args;
use super::bindings::Place;
use super::file::{ENTRY_OVERHEAD, Opened};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(file: &Path) -> Result<Opened, Error> {
    Opened::open(&Place::File(file.to_owned()), 2_000)
}

#[derive(Clone, Debug)]
enum Op {
    Commit(Option<(u8, Option<usize>)>, Vec<(u8, Option<usize>)>),
    Reopen,
}

fn value(size: usize) -> Vec<u8> {
    vec![7; size]
}

fn size(model: &Model) -> u64 {
    model.iter().map(|(key, value)| (key.len() + value.len()) as u64 + ENTRY_OVERHEAD).sum()
}

fn op() -> impl Strategy<Value = Op> {
    let entry = || (0..6_u8, prop::option::of(0..500_usize));
    let commit = (prop::option::weighted(0.3, entry()), prop::collection::vec(entry(), 0..5));
    prop_oneof![
        8 => commit.prop_map(|(condition, changes)| Op::Commit(condition, changes)),
        1 => Just(Op::Reopen),
    ]
}

/// What the batch makes of the model, or why it is refused.
fn expected(
    model: &Model,
    condition: &Option<(u8, Option<usize>)>,
    changes: &[(u8, Option<usize>)],
) -> Result<Model, &'static str> {
    if let Some((key, expected)) = condition
        && model.get([*key].as_slice()) != expected.map(value).as_ref()
    {
        return Err("conflict");
    }
    let mut after = model.clone();
    for (key, change) in changes {
        match change {
            Some(size) => drop(after.insert(vec![*key], value(*size))),
            None => drop(after.remove([*key].as_slice())),
        }
    }
    if size(&after) > 2_000 && size(&after) > size(model) {
        return Err("unavailable");
    }
    Ok(after)
}

fn batch(condition: Option<(u8, Option<usize>)>, changes: Vec<(u8, Option<usize>)>) -> args::Batch {
    let condition =
        condition.map(|(key, expected)| Condition { key: vec![key], value: expected.map(value) });
    let change = |(key, change): (u8, Option<usize>)| match change {
        Some(size) => Change::Put(Entry { key: vec![key], value: value(size) }),
        None => Change::Delete(vec![key]),
    };
    args::batch(condition.into_iter().collect(), changes.into_iter().map(change).collect()).unwrap()
}

async fn all(store: &Opened) -> Model {
    let (mut found, mut start) = (Model::new(), None);
    loop {
        let scan = args::scan(Range { start, end: None }, 2, 700).unwrap();
        let page = store.scan(scan).await.unwrap();
        found.extend(page.entries.into_iter().map(|entry| (entry.key, entry.value)));
        start = page.next;
        if start.is_none() {
            return found;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn every_history_is_kept_as_in_a_map_and_its_size_is_known(ops in prop::collection::vec(op(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("made/for/it.redb");
            let (mut store, mut model) = (open(&file).unwrap(), Model::new());
            for op in ops {
                match op {
                    Op::Reopen => {
                        drop(store);
                        store = open(&file).unwrap();
                    }
                    Op::Commit(condition, changes) => {
                        let expected = expected(&model, &condition, &changes);
                        let made = store.commit(batch(condition, changes)).await;
                        match expected {
                            Ok(after) => {
                                assert!(made.is_ok(), "{made:?}");
                                model = after;
                            }
                            Err(kind) => assert_eq!(made.unwrap_err().kind(), kind),
                        }
                    }
                }
                assert_eq!(all(&store).await, model);
                assert_eq!(store.used(), size(&model));
            }
        });
    }
}

#[tokio::test]
async fn batches_that_come_together_see_each_other_in_order_and_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(open(&folder.path().join("a.redb")).unwrap());
    // Each of them swaps what the one before has put; one in three is wrong.
    let commits: Vec<_> = (0..60_usize)
        .map(|n| {
            let (before, wrong) = (n - n.div_ceil(3), n % 3 == 0);
            let expected = if wrong { Some(499) } else { (before > 0).then_some(before) };
            let batch = batch(Some((1, expected)), vec![(1, Some(before + 1))]);
            let store = std::sync::Arc::clone(&store);
            (wrong, tokio::spawn(async move { store.commit(batch).await }))
        })
        .collect();
    for (at, (wrong, commit)) in commits.into_iter().enumerate() {
        let made = commit.await.unwrap();
        assert_eq!(made.is_err(), wrong, "{at}: {made:?}");
    }
    let values = store.get_many(vec![vec![1], vec![2]]).await.unwrap();
    assert_eq!(values, [Some(value(40)), None]);
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.redb");
    let database = redb::Database::create(&foreign).unwrap();
    let write = database.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("somebody's");
    write.open_table(table).unwrap().insert(1, 2).unwrap();
    write.commit().unwrap();
    drop(database);
    let text = folder.path().join("text");
    std::fs::write(&text, "some text").unwrap();
    for (path, says) in [
        (foreign.as_path(), "made by something else"),
        (text.as_path(), "cannot be opened"),
        (folder.path(), "cannot be opened"),
        (&text.join("below"), "cannot be opened"),
    ] {
        let error = open(path).err().unwrap();
        assert!(matches!(&error, Error::Unavailable(text) if text.contains(says)), "{error:?}");
    }
    assert_eq!(std::fs::read(&text).unwrap(), b"some text");
    use redb::ReadableDatabase;
    let database = redb::Database::open(&foreign).unwrap();
    assert_eq!(database.begin_read().unwrap().list_tables().unwrap().count(), 1);
}
