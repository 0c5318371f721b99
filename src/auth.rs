//! Who acts, and what they may do. Pure: randomness and clocks come in as arguments.

pub mod account;
pub mod actor;
pub mod form_token;
pub mod password;
pub mod permission;
pub mod refusals;
pub mod secret;
pub mod session;
pub mod throttle;
