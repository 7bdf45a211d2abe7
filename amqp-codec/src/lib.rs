//! AMQP 0-9-1 as a proxy needs it, without I/O and without a clock.
//!
//! A gateway reads little of what passes through it: the handshake, which says who the client is
//! and what it wants, and afterwards the seven bytes before each frame and the four that name a
//! method. This crate holds that reading, and nothing that sends or waits:
//!
//! | module | answers |
//! |---|---|
//! | [`preface`] | what stands before AMQP: a PROXY header, a ClientHello? |
//! | [`protocol_header`] | what do the first eight bytes ask for? |
//! | [`frame`] | where does a frame end, and which method is it? |
//! | [`guard`] | is this field table safe to decode? |
//! | [`wire`] | what does this channel-0 method say, and how is one written? |
//! | [`sasl`], [`tune`], [`reply`] | who logs in; what was negotiated; why does it close? |
//! | [`login_guard`], [`sasl_init`] | would the node take the client for somebody else? |
//! | [`handshake`] | what may come next, what must be said, and to whom? |
//! | [`text`] | what does this method say, in words? |
//! | [`tracker`] | how many channels and messages has a session seen? |
//!
//! Everything here may be fed with bytes of a stranger: no function panics, recurses over its
//! input, or keeps more than a stated number of bytes.

#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
extern crate self as amqp_codec;

pub mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod guard;
pub mod handshake;
pub mod login_guard;
pub mod preface;
pub mod protocol_header;
pub mod reply;
pub mod sasl;
pub mod sasl_init;
pub mod table;
pub mod text;
pub mod tracker;
pub mod tune;
pub mod wire;
