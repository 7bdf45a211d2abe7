//! The amqp-gateway binary.
fn main() {}
