//! See `amqp_codec::fuzz::client_handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::client_handshake(data));
