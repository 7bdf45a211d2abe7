//! Handshakes: from the first eight bytes to open-ok (AMQP 0-9-1 section 2.2.4).
//!
//! Two machines read one peer each: [`server`] the client's side of the conversation (there we are
//! the broker), [`client`] the node's (there we are the client). [`bridge`] holds both and decides,
//! frame by frame, what is answered by us, what is handed on, and what a node has to be told again.

pub mod bridge;
pub mod client;
mod leg;
#[cfg(any(test, fuzzing))]
pub(crate) mod pair;
#[cfg(any(test, fuzzing))]
pub(crate) mod script;
pub mod server;

use thiserror::Error;

use crate::frame::FrameError;
use crate::reply::CloseReason;
use crate::tune::Misfit;
use crate::wire::WireError;

/// What a peer did wrong before open-ok.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// No frame at all.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A method that cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The wrong thing at this point.
    #[error("{got} where {expected} should be")]
    Unexpected {
        /// What came.
        got: &'static str,
        /// What may come.
        expected: &'static str,
    },
    /// A SASL mechanism that was not offered.
    #[error("SASL mechanism {0:?} was not offered")]
    Mechanism(String),
    /// A node closed because an operator stops it: no judgement on the client.
    #[error("closed with {0}")]
    Closed(CloseReason),
    /// Tune values over the offer.
    #[error("tune-ok exceeds the offer: {0:?}")]
    Tune(Misfit),
}
