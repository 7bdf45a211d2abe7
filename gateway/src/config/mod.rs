//! Configuration: file -> model.

pub mod model;
pub mod pattern;
