//! What the API shows of single sessions, method by method.

use futures_util::stream::BoxStream;

use super::Refusal;
use crate::admin::view::session::{TapLine, TapQuery};

/// Shows decoded methods of chosen sessions, never credentials, bounded in rate and memory.
pub trait Tapping: Send + Sync {
    /// Taps those that `query` chooses, those that begin meanwhile included, until the stream is dropped.
    ///
    /// # Errors
    /// When there are as many taps as there may be, or no such session.
    fn tap(&self, query: &TapQuery) -> Result<BoxStream<'static, TapLine>, Refusal>;
}
