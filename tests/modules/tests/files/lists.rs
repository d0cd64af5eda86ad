//! Listing by prefix, page by page.

use crate::Subject;

for_every_provider![
    a_whole_key_lists_that_file_alone,
    pages_of_any_size_give_every_file_once_in_order,
    files_that_come_and_go_disturb_no_listing,
];

// F13: a file is listed by its id.
async fn a_whole_key_lists_that_file_alone(s: Subject) {
    let stored = s.put("a", b"a").await;
    s.put("a", b"other").await;
    let page = s.files.list(&stored.key, None, 10).await.unwrap();
    assert_eq!((page.files, page.cursor), (vec![stored], None));
    let none = s.files.list("nothing", None, 10).await.unwrap();
    assert_eq!((none.files, none.cursor), (vec![], None));
}

async fn pages_of_any_size_give_every_file_once_in_order(s: Subject) {
    let mut keys = Vec::new();
    for name in ["a/1", "a/b/2", "a-b", "a.b", "b", "ab/c/d/e", "a/z", "ä"] {
        for _ in 0..3 {
            keys.push(s.put(name, b"x").await.key);
        }
    }
    keys.sort();
    for limit in [1, 2, 3, 7, 24, 1_000] {
        assert_eq!(s.keys("", limit).await, keys, "{limit}");
        for prefix in ["a", "a/", "a/b", "ab/c/", "ä", "zzz"] {
            let expected: Vec<_> =
                keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect();
            assert_eq!(s.keys(prefix, limit).await, expected, "{prefix} {limit}");
        }
    }
}

async fn files_that_come_and_go_disturb_no_listing(s: Subject) {
    for at in 0..6 {
        s.put(&format!("{at}"), b"x").await;
    }
    let all = s.keys("", 10).await;
    let first = s.files.list("", None, 2).await.unwrap();
    let cursor = first.cursor.unwrap();
    // The one that the cursor names, one before it and one after it.
    for gone in [&all[1], &all[0], &all[3]] {
        s.files.delete([gone]).await.unwrap()[0].clone().unwrap();
    }
    s.put("0-late", b"x").await;
    let rest = s.files.list("", Some(&cursor), 10).await.unwrap();
    let rest: Vec<_> = rest.files.into_iter().map(|file| file.key).collect();
    assert_eq!(rest, [all[2].clone(), all[4].clone(), all[5].clone()]);
}
