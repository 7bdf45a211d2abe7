//! What may stand before AMQP on a connection: a proxy's word of who its client is.
//!
//! It is read from the buffer as it grows, from its beginning each time, until it says
//! something. What it says never changes when more bytes come.

pub mod proxy_header;
