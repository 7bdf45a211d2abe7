//! See `amqp_codec::fuzz::tracker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::tracker(data));
