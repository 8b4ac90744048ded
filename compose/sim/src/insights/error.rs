//! What is wrong with a query and where.

/// A query that does not compile. Becomes `MalformedQueryException` on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong, and where known how to mend it.
    pub message: String,
    /// First offending character, counted in characters from 0.
    pub start: usize,
    /// One past the last offending character.
    pub end: usize,
}

/// Byte range in the query text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl CompileError {
    /// An error at a byte range of `source`; offsets become characters because that is what the wire counts.
    pub(super) fn at(source: &str, span: Span, message: impl Into<String>) -> Self {
        let chars = |byte: usize| source.char_indices().take_while(|(at, _)| *at < byte).count();
        Self { message: message.into(), start: chars(span.start), end: chars(span.end.max(span.start)) }
    }
}
