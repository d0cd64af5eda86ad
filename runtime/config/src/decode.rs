//! Reads a spanned TOML tree and collects every fault on the way.
//!
//! Decoding is by hand and not by serde: serde stops at the first mistake
//! and loses the span of what it has read, and later stages need that span.
//! A function here returns `None` when it has reported a fault; its caller
//! takes a default and goes on, because the result is thrown away anyhow.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::Place;
use crate::error::Fault;
use crate::interpolate::{Env, interpolate, values};
use crate::suggest;

/// What decoding gathers and what it depends on.
pub(crate) struct Decoder<'e> {
    env: &'e Env<'e>,
    /// The folder that relative paths are relative to.
    pub(crate) base: &'e Path,
    pub(crate) spans: BTreeMap<Place, Range<usize>>,
    pub(crate) faults: Vec<Fault>,
}

/// One value and where it stands.
pub(crate) struct Node<'t> {
    pub(crate) value: &'t DeValue<'t>,
    pub(crate) span: Range<usize>,
    pub(crate) place: Place,
}

/// A table whose keys are all known.
pub(crate) struct Section<'t> {
    table: &'t DeTable<'t>,
    pub(crate) place: Place,
}

/// A string value with its variables filled in.
pub(crate) struct Text<'t> {
    pub(crate) value: String,
    raw: &'t str,
    filled: bool,
}

/// Why a string is not what it should be. `reason` holds nothing of the
/// string; `instead` may, and is shown only if no variable is in it.
pub(crate) struct Why {
    pub(crate) reason: String,
    pub(crate) instead: Option<String>,
    pub(crate) help: Option<String>,
}

impl Why {
    pub(crate) fn reason(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), instead: None, help: None }
    }

    pub(crate) fn with_help(reason: impl ToString, help: impl ToString) -> Self {
        Self { help: Some(help.to_string()), ..Self::reason(reason) }
    }
}

impl Text<'_> {
    /// The string as the file has it: variables by name, never by value.
    pub(crate) fn shown(&self) -> String {
        const LONGEST: usize = 60;
        if self.raw.chars().count() <= LONGEST {
            return format!("{:?}", self.raw);
        }
        let cut: String = self.raw.chars().take(LONGEST).collect();
        format!("{cut:?}...")
    }
}

impl<'t> Node<'t> {
    /// The value at `key`, if this is a table that has it. Whoever opens the table
    /// reports what else is in it.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        match self.value {
            DeValue::Table(table) => Section { table, place: self.place.clone() }.get(key),
            _ => None,
        }
    }
}

impl<'t> Section<'t> {
    /// The value at `key`, if it is written.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'t>> {
        let value = self.table.get(key)?;
        Some(Node {
            value: value.get_ref(),
            span: value.span(),
            place: self.place.clone().key(key),
        })
    }
}

impl<'e> Decoder<'e> {
    pub(crate) fn new(env: &'e Env<'e>, base: &'e Path) -> Self {
        Self { env, base, spans: BTreeMap::new(), faults: Vec::new() }
    }

    /// Reports a fault of `node`.
    pub(crate) fn fault(
        &mut self,
        node: &Node<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.faults.push(Fault {
            place: node.place.clone(),
            span: Some(node.span.clone()),
            message: message.into(),
            help: help.into(),
        });
    }

    /// Reports that `node` is of another type. `example` is a whole line.
    pub(crate) fn wrong_type(&mut self, node: &Node<'_>, must_be: &str, example: &str) {
        let name = node.place.name();
        let is = type_of(node.value);
        self.fault(
            node,
            format!("`{name}` must be {must_be}, but is {is}"),
            format!("write {example}"),
        );
    }

    /// Opens the table of a whole document.
    pub(crate) fn root<'t>(&mut self, table: &'t DeTable<'t>, known: &[&str]) -> Section<'t> {
        self.open(table, Place::root(), known, |_| None)
    }

    /// Opens a table that may have the `known` keys and no others.
    pub(crate) fn section<'t>(
        &mut self,
        node: &Node<'t>,
        known: &[&str],
        example: &str,
    ) -> Option<Section<'t>> {
        self.section_with(node, known, example, |_| None)
    }

    /// As [`Self::section`]; `belongs` says where a key should stand that is
    /// not known here but elsewhere.
    pub(crate) fn section_with<'t>(
        &mut self,
        node: &Node<'t>,
        known: &[&str],
        example: &str,
        belongs: impl Fn(&str) -> Option<String>,
    ) -> Option<Section<'t>> {
        match node.value {
            DeValue::Table(table) => Some(self.open(table, node.place.clone(), known, belongs)),
            _ => {
                self.wrong_type(node, "a table", example);
                None
            }
        }
    }

    fn open<'t>(
        &mut self,
        table: &'t DeTable<'t>,
        place: Place,
        known: &[&str],
        belongs: impl Fn(&str) -> Option<String>,
    ) -> Section<'t> {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let at = place.clone().key(name);
            if known.contains(&name) {
                // `[modules.cache]` is not where `modules` is written: who looks
                // for another module must not be shown this line.
                let implied = value.span() == key.span() && place == Place::root();
                if !implied {
                    self.spans.insert(at, value.span());
                }
                continue;
            }
            let (kind, what) = if place == Place::root().key("modules") {
                ("module", "the modules are")
            } else {
                ("key", "the keys here are")
            };
            let help = belongs(name).unwrap_or_else(|| suggest::help(name, known, what));
            self.faults.push(Fault {
                place: at,
                span: Some(key.span()),
                message: format!("there is no {kind} `{name}`{}", within(&place)),
                help,
            });
        }
        Section { table, place }
    }

    /// The entries of a table whose keys are names that the operator chose.
    pub(crate) fn entries<'t>(
        &mut self,
        node: &Node<'t>,
        example: &str,
    ) -> Vec<(String, Node<'t>)> {
        let DeValue::Table(table) = node.value else {
            self.wrong_type(node, "a table", example);
            return Vec::new();
        };
        let entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let place = node.place.clone().key(name.as_str());
                (name, Node { value: value.get_ref(), span: value.span(), place })
            })
            .collect();
        for (_, node) in &entries {
            self.spans.insert(node.place.clone(), node.span.clone());
        }
        entries
    }

    /// The elements of an array.
    pub(crate) fn array<'t>(&mut self, node: &Node<'t>, example: &str) -> Option<Vec<Node<'t>>> {
        let DeValue::Array(array) = node.value else {
            self.wrong_type(node, "an array", example);
            return None;
        };
        let nodes: Vec<_> = array
            .iter()
            .enumerate()
            .map(|(index, value)| Node {
                value: value.get_ref(),
                span: value.span(),
                place: node.place.clone().index(index),
            })
            .collect();
        for node in &nodes {
            self.spans.insert(node.place.clone(), node.span.clone());
        }
        Some(nodes)
    }

    /// A string with its variables filled in.
    pub(crate) fn text<'t>(
        &mut self,
        node: &Node<'t>,
        must_be: &str,
        example: &str,
    ) -> Option<Text<'t>> {
        match node.value {
            DeValue::String(raw) => self.fill(node, raw),
            _ => {
                self.wrong_type(node, must_be, example);
                None
            }
        }
    }

    /// Fills in the variables of `raw`, which is the string of `node`.
    pub(crate) fn fill<'t>(&mut self, node: &Node<'_>, raw: &'t str) -> Option<Text<'t>> {
        match interpolate(raw, self.env) {
            Ok(filled) => Some(Text {
                filled: filled.is_some(),
                value: filled.unwrap_or_else(|| raw.to_owned()),
                raw,
            }),
            Err(error) => {
                self.fault(node, error.to_string(), error.help());
                None
            }
        }
    }

    /// What variables put into a string.
    pub(crate) fn variables(&self, text: &Text<'_>) -> Vec<String> {
        values(text.raw, self.env)
    }

    /// A string that `parse` turns into a `T`. `what` is the thing with its
    /// article, `example` a whole line.
    pub(crate) fn parsed<T>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, Why>,
    ) -> Option<T> {
        self.parsed_as(node, what, example, |text| text.shown(), parse)
    }

    /// As [`Self::parsed`], for a string that may hold a secret: faults do not
    /// show it.
    pub(crate) fn secret<T>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, Why>,
    ) -> Option<T> {
        let shown = format!("`{}`", node.place.name());
        self.parsed_as(node, what, example, |_| shown, parse)
    }

    fn parsed_as<T>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        example: &str,
        shown: impl FnOnce(&Text<'_>) -> String,
        parse: impl FnOnce(&str) -> Result<T, Why>,
    ) -> Option<T> {
        let text = self.text(node, &format!("a string with {what}"), example)?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(why) => {
                let name = node.place.name();
                let help = match why {
                    Why { instead: Some(instead), .. } if !text.filled => {
                        format!("write {name} = {instead:?}")
                    }
                    Why { help: Some(help), .. } => help,
                    _ => format!("write {what}, such as {example}"),
                };
                self.fault(node, format!("{} is not {what}: {}", shown(&text), why.reason), help);
                None
            }
        }
    }
}

fn within(place: &Place) -> String {
    if *place == Place::root() { " in the config".to_owned() } else { format!(" in `{place}`") }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date-time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
