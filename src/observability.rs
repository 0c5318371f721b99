//! What the server says about itself: its own log and its own metrics. (What agents say about themselves is their own
//! telemetry, and none of this.)

pub mod logs;
pub mod metrics;
pub mod plain;
pub mod secret;

pub use secret::Secret;
