//! What may stand before AMQP on a connection: a proxy's word of who its client is, and the start
//! of a TLS handshake.
//!
//! Both are read from the buffer as it grows, from its beginning each time, until they say
//! something. What they say never changes when more bytes come.

pub mod client_hello;
pub mod proxy_header;
