//! Whatever happens: when it is over, the right router serves, and only that one.
