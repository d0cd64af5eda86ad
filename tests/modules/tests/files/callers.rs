//! Many callers at the same time, and memory.

use stheno::NewFile;
use stheno_test_support::Footprint;
use tokio::io::AsyncReadExt;

use crate::{Subject, pattern};

for_every_provider![
    sixty_four_callers_get_their_own_bytes,
    a_silent_client_holds_up_nobody,
    memory_stays_flat_whatever_the_size,
];

async fn sixty_four_callers_get_their_own_bytes(s: Subject) {
    let callers = (0..64_usize).map(|caller| {
        let files = s.files.clone();
        tokio::spawn(async move {
            let body = pattern(10_000 + caller * 1_000);
            for round in 0..4 {
                let name = format!("{}/{round}", caller % 8);
                let stored = files.put_bytes(NewFile::new(name), body.clone()).await.unwrap();
                let read = files.get(&stored.key).await.unwrap().bytes().await.unwrap();
                assert!(read == body, "{caller}");
                if round % 2 == 0 {
                    assert_eq!(files.delete([stored.key]).await.unwrap(), [Ok(())]);
                }
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(s.keys("", 100).await.len(), 128);
}

/// More uploads than there are instances, none of which ever sends anything.
async fn a_silent_client_holds_up_nobody(s: Subject) {
    let mut silent = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..100 {
        let (end, body) = tokio::io::duplex(16);
        ends.push(end);
        let files = s.files.clone();
        silent.push(tokio::spawn(async move { files.put(NewFile::new("silent"), body).await }));
    }
    for at in 0..20 {
        let stored = s.put("quick", &[at]).await;
        assert_eq!(s.read(&stored.key).await, [at]);
    }
    assert!(silent.iter().all(|upload| !upload.is_finished()));
    // Their clients are done, and so are they.
    drop(ends);
    for upload in silent {
        assert_eq!(upload.await.unwrap().unwrap().size, 0);
    }
}

async fn memory_stays_flat_whatever_the_size(s: Subject) {
    const SIZE: u64 = 256 << 20;
    s.put("warm", &pattern(4_000_000)).await;
    let before = Footprint::now();
    let stored = s.files.put(NewFile::new("large"), tokio::io::repeat(7).take(SIZE)).await.unwrap();
    assert_eq!(stored.size, SIZE);
    let mut download = s.files.get(&stored.key).await.unwrap();
    let mut part = vec![0; 64 * 1024];
    let mut read = 0;
    loop {
        let count = download.read(&mut part).await.unwrap();
        if count == 0 {
            break;
        }
        assert!(part[..count].iter().all(|&byte| byte == 7));
        read += count as u64;
    }
    assert_eq!(read, SIZE);
    let after = Footprint::now();
    // Other tests of this process run beside it.
    assert!(after.resident_beyond(&before) < 64 << 20, "{before}, then {after}");
}
