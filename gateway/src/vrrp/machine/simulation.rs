//! Routers on a network that loses, delays, doubles and reorders, on machines that stand still and clocks that jump.

mod chaos;
mod costs;
mod world;
