//! Options of the config.

use serde_json::json;
use stheno::{Access, ErrorKind, NewFile};

use crate::Subject;

for_every_provider![
    a_prefix_begins_every_key_and_bounds_what_is_seen,
    public_files_have_the_cache_control_of_the_config,
    options_that_cannot_be_are_refused_by_name,
];

// F12: a prefix.
async fn a_prefix_begins_every_key_and_bounds_what_is_seen(s: Subject) {
    let outside = s.put("a.txt", b"outside").await.key;
    let s = s.again(json!({"prefix": "shop"})).await;
    let inside = s.put("a.txt", b"inside").await.key;
    assert!(inside.starts_with("shop/a-"), "{inside}");
    assert_eq!(s.read(&inside).await, b"inside");
    for prefix in ["", "sh", "shop/", "shop/a", inside.as_str()] {
        assert_eq!(s.keys(prefix, 10).await, std::slice::from_ref(&inside), "{prefix}");
    }
    assert!(s.keys("a", 10).await.is_empty());
    assert_eq!(s.files.stat(&outside).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(s.files.delete([&outside]).await.unwrap(), [Ok(())]);
    let s = s.restarted().await;
    assert_eq!(s.read(&outside).await, b"outside");
    assert_eq!(s.read(&inside).await, b"inside");
}

// F12: cache-control.
async fn public_files_have_the_cache_control_of_the_config(s: Subject) {
    let s = s.again(json!({"cache_control": "max-age=5"})).await;
    let public = s.files.put_bytes(NewFile::new("a").public(), b"").await.unwrap();
    assert_eq!(public.access, Access::Public);
    assert_eq!(public.cache_control.as_deref(), Some("max-age=5"));
    assert_eq!(s.put("a", b"").await.cache_control, None);
}

async fn options_that_cannot_be_are_refused_by_name(s: Subject) {
    for (options, named) in [
        (json!({"prefx": "a"}), "prefx"),
        (json!({"prefix": "../a"}), "prefix"),
        (json!({"prefix": 7}), "prefix"),
        (json!({"cache_control": ""}), "cache_control"),
    ] {
        let error = Subject::with_options(s.place.another(), options).await.err().unwrap();
        let text = format!("{error:?}");
        assert!(text.contains(named), "{named}: {text}");
    }
}
