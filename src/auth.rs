//! Who acts, and what they may do. Pure: the secrets' digests and clocks come in as arguments.

pub mod actor;
pub mod permission;
