//! See `amqp_codec::fuzz::frame_walker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::frame_walker(data));
