//! Files that are no provider of the module, and what is said of them.

use stheno::Runtime;
use stheno::config::{ProviderConfig, Resolve};
use stheno_config::{Limits, ModuleName};
use stheno_engine::{Aspect, CacheModule, EventsModule, LoadError, Source};
use stheno_hostile::{source, terms};

use crate::{MANY, engine};

async fn load_bytes(bytes: Vec<u8>) -> LoadError {
    let source = Source { name: "./some.wasm".into(), bytes: bytes.into() };
    engine().load::<CacheModule>(source, terms(Limits::default())).await.err().unwrap()
}

/// The smallest core module there is: magic, version 1.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[tokio::test]
async fn what_is_no_component_is_refused_with_the_reason_and_what_to_do() {
    let whole = stheno_test_support::guest_bytes(MANY);
    let cut = whole[..whole.len() / 2].to_vec();
    for (bytes, reason) in [
        (Vec::new(), "it is empty"),
        (b"[modules.cache]\n".to_vec(), "it does not begin as WebAssembly does"),
        (b"\0as".to_vec(), "it does not begin as WebAssembly does"),
        (CORE_MODULE.to_vec(), "it is a core module"),
        (whole[..4].to_vec(), ""),
        (cut, ""),
    ] {
        let error = load_bytes(bytes).await;
        let text = error.to_string();
        assert!(matches!(error, LoadError::NotAComponent { .. }), "{error:?}");
        assert!(text.starts_with("./some.wasm is not a WebAssembly component: "), "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(error.help().contains("wasm32-wasip2"), "{}", error.help());
        assert_eq!(error.aspect(), Aspect::Resolve);
    }
}

#[tokio::test]
async fn a_component_that_was_damaged_anywhere_is_refused_or_still_a_provider() {
    let whole = stheno_test_support::guest_bytes("lifecycle-only");
    let engine = stheno_engine::Engine::new(None).unwrap();
    for part in 0..24 {
        let mut damaged = whole.clone();
        let at = damaged.len() * part / 24;
        damaged[at] ^= 0xFF;
        let source = Source { name: "./damaged.wasm".into(), bytes: damaged.into() };
        // Never a provider of this module, and never a panic.
        assert!(engine.load::<CacheModule>(source, terms(Limits::default())).await.is_err());
    }
}

#[tokio::test]
async fn a_component_of_the_wrong_world_is_told_which_one_is_wanted() {
    let engine = engine();
    let error =
        engine.load::<EventsModule>(source(MANY), terms(Limits::default())).await.err().unwrap();
    let LoadError::WrongWorld { missing, world, exports, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*missing, *world), ("stheno:events/events", "stheno:worlds/events-provider"));
    assert!(exports.iter().any(|export| export.starts_with("stheno:cache/cache@")), "{exports:?}");
    assert!(error.help().contains(world) && error.help().contains("stheno:cache/cache"));

    let error = engine
        .load::<CacheModule>(source("lifecycle-only"), terms(Limits::default()))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, LoadError::WrongWorld { missing: "stheno:cache/cache", .. }));
}

#[tokio::test]
async fn what_cannot_be_loaded_is_an_error_about_its_place_in_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.wasm");
    std::fs::write(&text, "not a component").unwrap();
    for (file, says) in [
        (text, "is not a WebAssembly component"),
        (folder.path().join("missing.wasm"), "cannot be read"),
        (folder.path().to_owned(), "cannot be read"),
        (stheno_test_support::guest("lifecycle-only"), "is not a provider of this module"),
    ] {
        let provider = ProviderConfig::new(Resolve::File(file));
        let built = Runtime::builder().provider(ModuleName::Cache, provider).build().await;
        let problem = built.err().unwrap().problems().remove(0);
        assert_eq!(problem.place, "modules.cache.resolve");
        assert!(problem.message.contains(says), "{}", problem.message);
        assert!(!problem.help.is_empty());
    }
}

#[tokio::test]
async fn an_inspection_says_what_a_component_would_need_without_granting_it() {
    let engine = engine();
    let found = engine.inspect(source("sockets-cache")).await.unwrap();
    assert_eq!(found.modules, ["cache"]);
    assert_eq!(found.grants_needed.len(), 1);
    assert!(found.grants_needed[0].starts_with("grants.sockets = "));
    assert_eq!(found.provider.unwrap().name, "sockets-cache");
    let found = engine.inspect(source("lifecycle-only")).await.unwrap();
    assert!(found.modules.is_empty() && found.grants_needed.is_empty());
    assert_eq!(found.provider.unwrap().name, "lifecycle-only");
}
