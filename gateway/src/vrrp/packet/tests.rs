//! Against frames of keepalived, and against chance.

#![allow(clippy::unwrap_used)]

mod flips;
mod frames;
mod oracle;
mod properties;
mod seeds;
mod vectors;
