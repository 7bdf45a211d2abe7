//! The files of the web console, embedded in the binary.
//!
//! Placeholder: the console is not built yet, so this crate holds one page that says so.

/// The page shown at the admin address until the console exists.
pub const INDEX: &str = include_str!("index.html");
