//! How the parts of a row are written one after the other, and read back.

/// Writes the parts of a value.
#[derive(Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    pub(super) fn number(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    pub(super) fn small(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_le_bytes());
        self
    }

    pub(super) fn tag(mut self, n: u8) -> Self {
        self.0.push(n);
        self
    }

    pub(super) fn flag(self, truth: bool) -> Self {
        self.tag(truth.into())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        // Nothing that the contract lets through is longer than that.
        self = self.small(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn maybe<T>(self, part: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match part {
            None => self.tag(0),
            Some(part) => write(self.tag(1), part),
        }
    }

    pub(super) fn list<'l, T: 'l>(
        self,
        items: impl ExactSizeIterator<Item = &'l T>,
        write: impl Fn(Self, &'l T) -> Self,
    ) -> Self {
        let out = self.small(u32::try_from(items.len()).unwrap_or(u32::MAX));
        items.fold(out, write)
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Output`] wrote; `None` is a row that is not ours.
pub(super) struct Input<'r>(&'r [u8]);

impl<'r> Input<'r> {
    pub(super) fn new(row: &'r [u8]) -> Self {
        Self(row)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    /// A place among the steps.
    pub(super) fn place(&mut self) -> Option<u16> {
        u16::try_from(self.small()?).ok()
    }

    pub(super) fn tag(&mut self) -> Option<u8> {
        let (&tag, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(tag)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.tag()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn bytes(&mut self) -> Option<&'r [u8]> {
        let length = usize::try_from(self.small()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    pub(super) fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }

    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.small()?;
        // Not reserved: the count may be anything.
        (0..count).map(|_| read(self)).collect()
    }

    pub(super) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}
