//! See `vrrp/packet/fuzz.rs` in the gateway.
//!
//! The files themselves are compiled here, not the crate: with it would come all the libraries of the gateway, built
//! with the fuzzer's flags, for a module that needs none of them but thiserror.
#![no_main]

#[path = "../../../gateway/src/vrrp/packet/mod.rs"]
#[allow(dead_code, unused_imports)]
mod packet;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packet::fuzz::vrrp_packet(data));
