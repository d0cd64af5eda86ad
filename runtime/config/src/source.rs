//! The text of a config file, kept to point at its lines.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use miette::{NamedSource, SourceSpan};

use crate::Place;

/// A config file as errors show it: what looks secret is masked already, so
/// nothing that holds this can show it by mistake.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    text: Arc<NamedSource<String>>,
}

/// Where something stands in a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Source {
    /// `masked` must have the lines and lengths of the file itself.
    pub(crate) fn new(name: &str, masked: String) -> Self {
        Self {
            name: name.to_owned(),
            text: Arc::new(NamedSource::new(name, masked).with_language("TOML")),
        }
    }

    pub(crate) fn shared(&self) -> Arc<NamedSource<String>> {
        Arc::clone(&self.text)
    }

    /// Line and column, from 1 and in characters, of a byte offset.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let text = self.text.inner();
        let before = text.get(..floor(text, offset)).unwrap_or_default();
        // A byte order mark takes no column in any editor.
        let before = before.trim_start_matches('\u{feff}');
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// A span that lies within the text, whatever was asked for.
    pub(crate) fn label(&self, span: &Range<usize>) -> SourceSpan {
        let text = self.text.inner();
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        (start, end - start).into()
    }
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}

/// A [`Source`] and where each key of it stands.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    pub(crate) spans: BTreeMap<Place, Range<usize>>,
}

impl Origin {
    /// What the file has at `place`, as it is written there.
    pub(crate) fn written(&self, place: &Place) -> Option<&str> {
        self.source.text.inner().get(self.spans.get(place)?.clone())
    }

    /// The span of `place`, or of its nearest parent that is written.
    pub(crate) fn find(&self, place: &Place) -> Option<Range<usize>> {
        let mut place = Some(place.clone());
        while let Some(this) = place {
            if let Some(span) = self.spans.get(&this) {
                return Some(span.clone());
            }
            place = this.parent();
        }
        None
    }
}
