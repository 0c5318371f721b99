//! Integration tests and laws, one binary, a file per capability.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod groups;
mod selectors;
