//! Waiting for a condition instead of for time.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Asks `condition` again and again until it says yes.
///
/// # Errors
/// After `deadline`: a sentence with `what` was waited for.
pub async fn until<F>(what: impl Display, deadline: Duration, mut condition: F) -> Result<()>
where
    F: AsyncFnMut() -> bool,
{
    let end = Instant::now() + deadline;
    while !condition().await {
        if Instant::now() >= end {
            bail!("waited {deadline:?} in vain for {what}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
