//! HTML pages. A page is a pure function from a view to markup: it reads no clock, no memory and no store.
//!
//! [`layout`] is the frame that every page shares, [`parts`] the building blocks inside it. How a page becomes live
//! without script of its own stands in [`parts::live`](mod@parts::live).

pub mod account;
pub mod add_agents;
pub mod agent;
pub mod agents;
pub mod audit;
pub mod configs;
pub mod differences;
pub mod enrolment;
pub mod groups;
pub(in crate::admin_plane) mod handle;
pub mod help;
pub mod layers;
pub mod layout;
pub mod login;
pub mod overview;
pub mod parts;
pub mod prove;
pub mod publish;
pub mod rollouts;
pub mod scene;
pub mod secrets;
pub mod setup;
pub mod strategy;
pub mod system;
pub mod terms;
pub mod users;
