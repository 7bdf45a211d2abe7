//! See `amqp_codec::fuzz::server_handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::server_handshake(data));
