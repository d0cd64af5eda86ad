//! Handles and the bytes behind them do not outlive their call.

use stheno_config::Limits;
use stheno_hostile::{ask, ask_all, load};

use crate::{MANY, ONE, engine, host_bytes, limits};

#[tokio::test]
async fn a_handle_kept_for_a_later_call_is_closed() {
    for guest in [MANY, ONE] {
        let guest = load(&engine(), guest, Limits::default()).await;
        // Within the call it works.
        let same_call = ask_all(&guest, &["hold", "use-held"]).await.unwrap();
        assert_eq!(same_call, [Some("held".to_owned()), Some("held".to_owned())]);
        let later = ask(&guest, "use-held").await.unwrap();
        assert!(later.contains("from an earlier call"), "{later}");
    }
}

#[tokio::test]
async fn what_a_guest_kept_behind_a_handle_is_given_back_to_its_account() {
    for guest in [MANY, ONE] {
        // The spool takes the whole account: it fits only if nothing is held.
        let limits = limits(|limits| limits.host_bytes = host_bytes(64));
        let guest = load(&engine(), guest, limits).await;
        for _ in 0..100 {
            assert_eq!(ask(&guest, "hold").await.as_deref(), Ok("held"));
            assert_eq!(ask(&guest, "spool:64KiB").await.as_deref(), Ok("65536"));
        }
        let both = ask_all(&guest, &["hold", "spool:64KiB"]).await.unwrap_err();
        assert_eq!(both.kind().as_str(), "unavailable");
        assert!(both.message().contains("limits.host_bytes"), "{}", both.message());
        assert_eq!(ask(&guest, "spool:64KiB").await.as_deref(), Ok("65536"));
    }
}

#[tokio::test]
async fn what_a_dead_instance_held_is_given_back_to_its_account() {
    let limits = limits(|limits| limits.host_bytes = host_bytes(64));
    let guest = load(&engine(), MANY, limits).await;
    for _ in 0..100 {
        let died = ask_all(&guest, &["hold", "panic"]).await.unwrap_err();
        assert_eq!(died.kind().as_str(), "internal");
        assert_eq!(ask(&guest, "spool:64KiB").await.as_deref(), Ok("65536"));
    }
}

#[tokio::test]
async fn a_spool_comes_back_whole_from_memory_and_from_its_file() {
    let guest = load(&engine(), MANY, Limits::default()).await;
    for size in ["0", "1", "65535", "65536", "1048576", "1048577", "8MiB"] {
        let bytes = if size == "8MiB" { "8388608" } else { size };
        assert_eq!(ask(&guest, &format!("spool:{size}")).await.as_deref(), Ok(bytes));
    }
}
