//! See `amqp_codec::fuzz::sasl_init`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::sasl_init(data));
