//! Tries again what failed, a few times, with longer and longer pauses.

use std::error::Error;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

/// Why something could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The cause, without secrets.
    pub(super) cause: String,
    /// What would help.
    pub(super) cure: &'static str,
    /// May it succeed if it is tried again?
    pub(super) passing: bool,
}

/// Tries once, and once more after each of `pauses` as long as it fails and that may pass. `stop` ends the pauses.
///
/// # Errors
/// The last failure.
pub(super) async fn attempt<F: Future<Output = Result<(), Failure>>>(
    pauses: &[Duration],
    stop: &CancellationToken,
    mut once: impl FnMut() -> F,
) -> Result<(), Failure> {
    for pause in pauses {
        match once().await {
            Err(failure) if failure.passing => {
                debug!(cause = failure.cause, ?pause, "trying again");
                if stop.run_until_cancelled(tokio::time::sleep(*pause)).await.is_none() {
                    return Err(failure);
                }
            }
            ended => return ended,
        }
    }
    once().await
}

/// An error and what it came from.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

    async fn tries(passing: bool, succeeds_at: u32, stop: &CancellationToken) -> (u32, bool) {
        let made = Cell::new(0);
        let once = || {
            made.set(made.get() + 1);
            let good = made.get() == succeeds_at;
            let failure = Failure { cause: "refused".into(), cure: "", passing };
            async move { if good { Ok(()) } else { Err(failure) } }
        };
        let good = attempt(&PAUSES, stop, once).await.is_ok();
        (made.get(), good)
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times() {
        let stop = CancellationToken::new();
        assert_eq!(tries(true, 1, &stop).await, (1, true));
        assert_eq!(tries(true, 3, &stop).await, (3, true));
        assert_eq!(tries(true, 9, &stop).await, (3, false));
        assert_eq!(tries(false, 9, &stop).await, (1, false));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_further_attempt_at_the_end() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(tries(true, 9, &stop).await, (1, false));
    }
}
