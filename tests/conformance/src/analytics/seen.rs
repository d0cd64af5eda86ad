//! What came through, where the suite can see it.

use std::path::{Path, PathBuf};

use stheno::config::FolderMode;
use stheno::{Analytics, Identify, JsonObject};

use super::Subject;
use crate::case::Case;
use crate::check::{CALLERS, Fault, Outcome, callers, equal, holds};

pub(crate) const CASES: &[Case] = cases! {
    Analytics:
    "analytics.seen.unchanged" =>
        "Event, actor, group and properties are passed on unchanged, digits included." [seen], unchanged;
    "analytics.seen.identities" => "Who was identified is passed on." [seen], identities;
    "analytics.seen.order" => "What was tracked is passed on in its order, each item once." [seen], order;
    "analytics.seen.callers" => "Of what 64 callers track at the same time nothing is lost or doubled." [seen], many;
    "analytics.seen.flush" => "After a flush all that was accepted is where it belongs." [seen], flush;
    "analytics.seen.stop" => "What was accepted before a stop is where it belongs after it." [seen], stop;
};

impl Subject {
    /// All that is in the folders that the provider may write to.
    fn files(&self) -> Result<String, Fault> {
        let mut text = String::new();
        let grants = &self.trial().provider().grants;
        for folder in grants.folders().iter().filter(|it| it.mode == FolderMode::ReadWrite) {
            read(&folder.host, &mut text)?;
        }
        Ok(text)
    }

    fn times(&self, name: &str) -> Result<usize, Fault> {
        Ok(self.files()?.matches(&self.own(name)).count())
    }
}

fn read(folder: &Path, into: &mut String) -> Result<(), Fault> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    // Files that are written one after the other have names that say so.
    paths.sort_by_key(|path: &PathBuf| (path.file_name().map(std::ffi::OsStr::len), path.clone()));
    for path in paths {
        if path.is_dir() {
            read(&path, into)?;
        } else {
            into.push_str(&String::from_utf8_lossy(&std::fs::read(&path)?));
        }
    }
    Ok(())
}

async fn unchanged(s: Subject) -> Outcome {
    let properties = JsonObject::parse(r#"{"total":12345678901234567890.10,"of":0.1e-7}"#)?;
    let event = s.event("placed").group(s.own("kind"), s.own("acme")).properties(properties);
    s.api.track(event).await?;
    s.hands_over().await?;
    for name in ["placed", "ada", "kind", "acme"] {
        equal(&format!("how often {name:?} is found"), s.times(name)?, 1)?;
    }
    let text = s.files()?;
    for digits in ["12345678901234567890.10", "0.1e-7"] {
        holds(text.contains(digits), || format!("the number {digits} is not found"))?;
    }
    Ok(())
}

async fn identities(s: Subject) -> Outcome {
    s.api.identify(Identify::actor(s.own("bob"))).await?;
    s.api.identify(Identify::group("company", s.own("acme"))).await?;
    s.hands_over().await?;
    for name in ["bob", "acme"] {
        equal(&format!("how often {name:?} is found"), s.times(name)?, 1)?;
    }
    Ok(())
}

async fn order(s: Subject) -> Outcome {
    let names: Vec<_> = (100..400).map(|n| format!("e{n}")).collect();
    for part in names.chunks(70) {
        s.api.track_all(part.iter().map(|name| s.event(name)).collect()).await?;
    }
    s.hands_over().await?;
    let (text, own) = (s.files()?, s.own("e"));
    let found: Vec<_> = text
        .match_indices(&own)
        .filter_map(|(at, _)| text.get(at + own.len()..at + own.len() + 3))
        .map(|digits| format!("e{digits}"))
        .collect();
    equal("the events in the order in which they are found", found, names)
}

async fn many(s: Subject) -> Outcome {
    callers(|n| {
        let (api, event) = (s.api.clone(), s.event(&format!("e{n}x")));
        async move { Ok(api.track_all(vec![event; 5]).await?) }
    })
    .await?;
    s.hands_over().await?;
    for n in 0..CALLERS {
        let name = format!("e{n}x");
        equal(&format!("how often {name:?} is found"), s.times(&name)?, 5)?;
    }
    Ok(())
}

async fn flush(s: Subject) -> Outcome {
    for round in 1..=5 {
        s.api.track(s.event("again")).await?;
        s.api.flush().await?;
        equal("how often it is found", s.times("again")?, round)?;
    }
    Ok(())
}

async fn stop(s: Subject) -> Outcome {
    s.api.track_all(vec![s.event("last"); 300]).await?;
    let s = s.restart().await?;
    equal("how often it is found", s.times("last")?, 300)
}
