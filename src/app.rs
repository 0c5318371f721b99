//! The use cases: the one door to memory and store. Pages, API, CLI and agents all come through here; permission and
//! audit are settled here.

pub mod accounts;
pub mod audit;
pub mod changes;
pub mod clock;
pub mod configs;
pub mod error;
pub mod groups;
pub mod intentions;
pub mod own_targets;
pub mod publish;
pub mod randomness;
pub mod tasks;
