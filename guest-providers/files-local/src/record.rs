//! The description of a file, as it stands behind the body.
//!
//! ```text
//! body | JSON | length of the JSON, 4 bytes, little-endian | MAGIC
//! ```
//!
//! It stands behind and not before, because then a body begins where the file
//! does, and the length of the body need not be known before it was written:
//! it is what is left of the file. Bodies may hold anything, another record
//! included, since only the end of the file is looked at.

use filing::Record;
use stheno_sdk::{Error, Result};

/// How much of the end of a file is read to find a record of usual length.
pub(crate) const USUAL_BYTES: u32 = 2_048;
const MAGIC: &[u8; 8] = b"stheno\x01\n";
const FOOTER_BYTES: usize = 4 + MAGIC.len();
/// Beyond what the host lets a caller describe a file with.
const RECORD_BYTES: usize = 256 * 1024;

/// What the end of a file tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The record, and the length of the body before it.
    Whole { record: Record, body: u64 },
    /// So many bytes of the end must be read.
    Longer(u32),
    /// It is not a file of this provider.
    Foreign,
}

/// What is written behind the body.
pub(crate) fn encode(record: &Record) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(record)
        .map_err(|error| Error::Internal(format!("a description cannot be written: {error}")))?;
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= RECORD_BYTES);
    let Some(length) = length else {
        return Err(Error::InvalidArgument(format!(
            "metadata makes a description of {} bytes, at most {RECORD_BYTES}",
            bytes.len()
        )));
    };
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(bytes)
}

/// Finds the record in the last bytes of a file of `size` bytes.
pub(crate) fn found(ending: &[u8], size: u64) -> Found {
    let Some(rest) = ending.strip_suffix(MAGIC) else { return Found::Foreign };
    let Some((rest, length)) = rest.split_last_chunk::<4>() else { return Found::Foreign };
    let length = u32::from_le_bytes(*length);
    let bytes = length as usize;
    if bytes > RECORD_BYTES {
        return Found::Foreign;
    }
    let whole = bytes + FOOTER_BYTES;
    let Some(body) = size.checked_sub(whole as u64) else { return Found::Foreign };
    let Some(start) = rest.len().checked_sub(bytes) else {
        return Found::Longer(u32::try_from(whole).unwrap_or(u32::MAX));
    };
    match serde_json::from_slice(rest.get(start..).unwrap_or_default()) {
        Ok(record) => Found::Whole { record, body },
        Err(_) => Found::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stheno_sdk::files::{Access, NewFile};

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        let metadata = proptest::collection::vec((".{0,40}", ".{0,200}"), 0..32);
        (
            ".{0,300}",
            proptest::option::of(".{0,40}"),
            any::<bool>(),
            proptest::option::of(".{0,40}"),
            metadata,
            any::<u64>(),
            any::<u64>(),
        )
            .prop_map(
                |(name, content_type, public, cache_control, metadata, modified_ms, mark)| {
                    let access = if public { Access::Public } else { Access::Private };
                    let file = NewFile { name, content_type, access, cache_control, metadata };
                    Record::new(file, "max-age=1", Some(modified_ms), mark)
                },
            )
    }

    fn last(bytes: &[u8], count: usize) -> &[u8] {
        &bytes[bytes.len().saturating_sub(count)..]
    }

    proptest! {
        #[test]
        fn a_record_is_found_behind_any_body(record in records(), body: Vec<u8>, look in 12..4_096_usize) {
            let mut file = body.clone();
            file.extend(encode(&record).unwrap());
            let whole = Found::Whole { record, body: body.len() as u64 };
            let size = file.len() as u64;
            match found(last(&file, look), size) {
                Found::Longer(bytes) => {
                    prop_assert!(bytes as usize > look);
                    prop_assert_eq!(found(last(&file, bytes as usize), size), whole);
                }
                other => prop_assert_eq!(other, whole),
            }
        }

        #[test]
        fn no_ending_panics(mut bytes: Vec<u8>, length: u32, size: u64) {
            let _ = found(&bytes, size);
            bytes.extend(length.to_le_bytes());
            bytes.extend(MAGIC);
            let _ = found(&bytes, size);
        }

        #[test]
        fn a_file_cut_short_is_foreign(record in records(), cut in 1..40_usize) {
            let bytes = encode(&record).unwrap();
            let short = &bytes[..bytes.len().saturating_sub(cut)];
            prop_assert_eq!(found(short, short.len() as u64), Found::Foreign);
        }
    }
}
