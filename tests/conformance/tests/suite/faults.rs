//! Who breaks a guarantee is caught, by the cases that are there for it.

use stheno_conformance::Status;

use crate::{ids, report};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dump() {
    for (module, faults) in [
        ("cache", "none serves-expired loses-tags keeps-old-tags forgets-second-set clears-too-much matches-beginnings delete-complains hangs-on-miss"),
        ("events", "none delivers-handled due-early ignores-priority leases-for-ever publishes-staged forgets-dead-letters retries-at-once loses-last replaces-subscriptions forgets-on-restart"),
        ("locking", "none two-holders locks-one expires-late fences-stand releases-nobodys does-not-renew hides-loss"),
        ("files", "none one-key-per-name loses-last-byte loses-metadata lists-twice links-to-nothing fills-any-key refuses-long-ranges"),
        ("notifications", "none false-receipt sends-twice loses-attachments shows-blind-copies refuses-templates ignores-after"),
        ("analytics", "none loses-last reverses rounds-numbers forgets-on-stop ignores-flush refuses-groups"),
    ] {
        for fault in faults.split(' ') {
            let extra = if module == "analytics" { ", folder = \"/out\" }\ngrants.folders = [{ host = \"{folder}\", guest = \"/out\", mode = \"read-write\" }" } else { "" };
            let close = if extra.is_empty() { " }" } else { "]" };
            let config = format!("[modules.{module}]\noptions = {{ fault = \"{fault}\"{extra}{close}\n");
            let report = report(&format!("faulty-{module}"), &config).await;
            eprintln!("{module} {fault}: {:.1} s {:?}", report.took.as_secs_f64(), ids(&report, Status::Failed));
            if fault == "none" && report.failed > 0 { eprintln!("{report}"); }
        }
    }
}
