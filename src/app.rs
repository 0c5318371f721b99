//! The use cases: the one door to memory and store. Pages, API, CLI and agents all come through here; permission and
//! audit are settled here.

pub mod clock;
pub mod error;
pub mod tasks;
