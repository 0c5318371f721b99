//! One agent: what it reports, what we know of it, and what it should hear.

pub mod report;
