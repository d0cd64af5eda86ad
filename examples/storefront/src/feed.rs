//! The input: what customers order in a day, and what the shop sells. Nothing
//! here knows of the runtime, so totals taken from here can be held against it.
//!
//! Both are files of JSON lines, `orders.jsonl` and `catalogue.jsonl`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The category that costs a tenth less from noon on.
pub const SALE: &str = "garden";
/// When the sale begins.
pub const NOON: Time = Time { hour: 12, minute: 0 };

/// One line of the feed: what a customer wants. A customer whose connection broke
/// sends the line again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its number. A second line with it is the same order.
    pub order: u32,
    /// When it came.
    pub at: Time,
    /// The customer's address for mail.
    pub customer: String,
    /// Where it is to be sent.
    pub country: String,
    /// What it is paid with.
    pub card: Card,
    /// How many of which products.
    pub items: BTreeMap<String, u32>,
}

/// What the bank will say to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Card {
    /// Yes.
    Good,
    /// Nothing at the first attempt, and yes at the second.
    Flaky,
    /// No.
    Declined,
}

/// A time of the day, such as `09:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time {
    hour: u8,
    minute: u8,
}

impl Time {
    /// So many minutes after midnight; none after the end of the day.
    #[must_use]
    pub fn from_minutes(minutes: u32) -> Option<Self> {
        let (hour, minute) = (u8::try_from(minutes / 60).ok()?, u8::try_from(minutes % 60).ok()?);
        (hour < 24).then_some(Self { hour, minute })
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60).then(|| Self::from_minutes(hour * 60 + minute)).flatten()
        });
        parsed.ok_or_else(|| format!("{text:?} is not a time of the day; write it as 09:30"))
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

/// One line of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its number, such as `P001`.
    pub product: String,
    /// What it is called.
    pub title: String,
    /// What goes on sale together.
    pub category: String,
    /// The price of one unit in the morning.
    pub cents: u64,
    /// Units in the warehouse when the day begins.
    pub stock: u32,
}

impl Product {
    /// The price of one unit, before or in the sale.
    #[must_use]
    pub fn price(&self, sale: bool) -> u64 {
        if sale && self.category == SALE { self.cents - self.cents / 10 } else { self.cents }
    }
}

/// The orders of one day, and what is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// In the order in which they came.
    pub orders: Vec<Order>,
    /// By number.
    pub catalogue: BTreeMap<String, Product>,
}

/// Why there is no feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{}, line {line}: {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// An order names a product that is not in the catalogue, or nothing at all.
    #[error("order {order} is for {what}, which is not in the catalogue")]
    NotSold {
        /// The order.
        order: u32,
        /// The product.
        what: String,
    },
}

impl Feed {
    /// Reads both files of a folder.
    ///
    /// # Errors
    ///
    /// What is wrong with them, with the line.
    pub fn read(folder: &Path) -> Result<Self, FeedError> {
        let orders: Vec<Order> = lines(folder.join("orders.jsonl"))?;
        let products: Vec<Product> = lines(folder.join("catalogue.jsonl"))?;
        let catalogue: BTreeMap<_, _> =
            products.into_iter().map(|product| (product.product.clone(), product)).collect();
        for Order { order, items, .. } in &orders {
            let unknown = items.keys().find(|product| !catalogue.contains_key(*product));
            let nothing = items.is_empty().then(|| "nothing".to_owned());
            if let Some(what) = unknown.cloned().or(nothing) {
                return Err(FeedError::NotSold { order: *order, what });
            }
        }
        Ok(Self { orders, catalogue })
    }

    /// The orders before the first one that came at noon or later, and the rest.
    #[must_use]
    pub fn halves(&self) -> (&[Order], &[Order]) {
        let noon = self.orders.iter().position(|order| order.at >= NOON);
        self.orders.split_at(noon.unwrap_or(self.orders.len()))
    }
}

fn lines<T: DeserializeOwned>(path: PathBuf) -> Result<Vec<T>, FeedError> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return Err(FeedError::Read { path, error }),
    };
    let parsed = text.lines().enumerate().map(|(at, line)| {
        serde_json::from_str(line).map_err(|error| FeedError::Line {
            path: path.clone(),
            line: at + 1,
            error,
        })
    });
    parsed.collect()
}
