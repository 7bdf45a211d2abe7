//! Routers on a network that loses, delays, doubles and reorders, on machines that stand still and clocks that jump.

#![allow(clippy::unwrap_used)]

mod chaos;
mod costs;
mod groups;
mod world;
