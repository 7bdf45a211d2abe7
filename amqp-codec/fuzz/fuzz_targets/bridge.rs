//! See `amqp_codec::fuzz::bridge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::bridge(data));
