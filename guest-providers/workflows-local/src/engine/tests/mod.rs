//! The engine against its guarantees.
