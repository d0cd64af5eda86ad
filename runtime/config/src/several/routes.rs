//! Which channels a provider of notifications serves.

use thiserror::Error;

use super::{DEFAULT, Share};
use crate::decode::{Decoder, Node, Section, Why};

const CHANNELS: &str = "channels";
/// See [`RecordsFile`](crate::RecordsFile).
pub(crate) const RECORDS: &str = "records";

/// Which channels a provider serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// Those that it names.
    pub channels: Vec<Channel>,
    /// Whether it serves those as well that no provider names.
    pub default: bool,
}

impl Share for Routes {
    const KEYS: &'static [&'static str] = &[CHANNELS, DEFAULT];
    const COMMON: &'static [&'static str] = &[RECORDS];

    fn alone() -> Self {
        Self { channels: Vec::new(), default: true }
    }

    fn decode(
        decoder: &mut Decoder<'_>,
        section: &Section<'_>,
        node: &Node<'_>,
        listed: bool,
    ) -> Self {
        const EXAMPLE: &str = "channels = [\"email\"]";
        let mut routes = Self::default();
        let written = section.get(CHANNELS);
        if let Some(node) = &written {
            for node in decoder.array(node, EXAMPLE).unwrap_or_default() {
                let parse = |text: &str| Channel::new(text).map_err(Why::reason);
                let Some(channel) = decoder.parsed(&node, "a channel", "\"email\"", parse) else {
                    continue;
                };
                if routes.channels.contains(&channel) {
                    decoder.fault(
                        &node,
                        format!("the channel `{channel}` is there twice"),
                        "name each channel once; several providers may name the same one",
                    );
                }
                routes.channels.push(channel);
            }
        }
        routes.default = super::default(decoder, section).unwrap_or(!listed && written.is_none());
        if !routes.default && routes.channels.is_empty() {
            decoder.fault(
                written.as_ref().unwrap_or(node),
                "this provider serves no channel",
                format!("write {EXAMPLE}, or default = true for all that nobody names"),
            );
        }
        routes
    }

    fn faults(all: &[(Node<'_>, Self)]) -> Vec<(usize, String, String)> {
        super::more_than_one_default(all.iter().map(|(_, routes)| routes.default))
    }
}

/// What notifications go over, such as `email`: 1 to 64 bytes without control
/// characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(String);

/// A text cannot be a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a channel has 1 to 64 bytes without control characters")]
pub struct ChannelError;

impl Channel {
    /// Takes a channel.
    ///
    /// # Errors
    ///
    /// It is empty, too long or has control characters.
    pub fn new(channel: impl Into<String>) -> Result<Self, ChannelError> {
        let channel = channel.into();
        if (1..=64).contains(&channel.len()) && !channel.chars().any(char::is_control) {
            Ok(Self(channel))
        } else {
            Err(ChannelError)
        }
    }

    /// The channel.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
