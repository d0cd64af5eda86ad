//! `events.watch` and `workflows.watch`: reading server-sent events.

use reqwest::Method;
use serde::Deserialize;

use super::client::Client;
use crate::failure::Failure;
use crate::output;

/// Collects the fields of one frame after the other. The server writes each
/// field on one line, so what the standard has for longer ones is not needed.
#[derive(Default)]
struct Frames {
    unread: Vec<u8>,
    event: String,
    data: String,
}

#[derive(Deserialize)]
struct Ended {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    kind: String,
    message: String,
}

/// Prints what comes until `count` were printed or the server ends the watch.
pub(super) async fn run(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    count: Option<u64>,
) -> Result<(), Failure> {
    let mut response = client.send(Method::GET, path, query, Vec::new()).await?;
    let mut frames = Frames::default();
    let mut left = count;
    while left != Some(0) {
        let chunk = response.chunk().await.map_err(|error| client.unanswered(&error))?;
        let Some(chunk) = chunk else {
            return Err(Failure::other("the server ended the watch", "see whether it is stopping"));
        };
        frames.unread.extend_from_slice(&chunk);
        while left != Some(0)
            && let Some((event, data)) = frames.next()
        {
            if event == "stheno.error"
                && let Ok(Ended { error: Reason { kind, message } }) = serde_json::from_str(&data)
            {
                return Err(Failure::Answer { kind, message });
            }
            output::line(&data)?;
            left = left.map(|left| left - 1);
        }
    }
    Ok(())
}

impl Frames {
    /// The name and the data of the next whole frame that has data.
    fn next(&mut self) -> Option<(String, String)> {
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let (event, data) =
                    (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
                if !data.is_empty() {
                    return Some((event, data));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.event = value.to_owned(),
                "data" => self.data = value.to_owned(),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_wherever_the_network_cuts_them() {
        let stream = ": hello\n\nid: 1\nevent: a\ndata: {\"é\":1}\n\n:\n\nevent:b\ndata:2\r\n\r\n";
        let expected = [("a", "{\"é\":1}"), ("b", "2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        for size in 1..=stream.len() {
            let mut frames = Frames::default();
            let mut read = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                frames.unread.extend_from_slice(chunk);
                while let Some(frame) = frames.next() {
                    read.push(frame);
                }
            }
            assert_eq!(read, expected, "in pieces of {size}");
        }
    }
}
