//! The admin plane: what people and scripts see. Pages for people, with the files that a browser needs for them.

pub mod assets;
pub mod pages;
