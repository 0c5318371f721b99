//! The rules of the fleet. Pure: no clock, no I/O, no lock, no wire type; time and randomness are arguments.
//!
//! What belongs here is what would still be true if Muster spoke another protocol, kept its state elsewhere and had
//! another face.

pub mod agent;
pub mod attributes;
pub mod capabilities;
pub mod config;
pub mod connection_offer;
pub mod custom;
pub mod enrolment;
pub mod group;
pub mod hash;
pub mod identity;
pub mod ids;
pub mod name;
pub mod packed;
pub mod rollout;
pub mod selector;
pub mod suspension;
pub mod target;
pub mod time;
