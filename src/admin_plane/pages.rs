//! HTML pages. A page is a pure function from a view to markup: it reads no clock, no memory and no store.
//!
//! [`layout`] is the frame that every page shares, [`parts`] the building blocks inside it. How a page becomes live
//! without script of its own stands in [`parts::live`](mod@parts::live).

pub mod layout;
pub mod parts;
