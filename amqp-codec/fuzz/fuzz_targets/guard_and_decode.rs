//! See `amqp_codec::fuzz::guard_and_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::guard_and_decode(data));
