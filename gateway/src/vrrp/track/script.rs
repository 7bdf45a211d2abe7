//! A tracked script: run again and again, by itself.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout};

use super::verdict::Rounds;
use crate::config::model::TrackScript;
use crate::health::probe::script;

/// Runs it for ever, and tells `told` after each time what is wrong, as far as that counts. Dropping the future ends the
/// script and all it has started.
pub(super) async fn run<T: Future<Output = ()>>(
    track: TrackScript,
    router: Arc<str>,
    told: impl Fn(Option<String>) -> T,
) {
    let mut rounds = Rounds::new(track.rise, track.fall);
    loop {
        let begun = Instant::now();
        let environment = [("VRRP_NAME", router.to_string())];
        let running = timeout(track.script.timeout, script::run(&track.script, environment)).await;
        let wrong = match running {
            Ok(Ok(_)) => None,
            Ok(Err(wrong)) => Some(wrong.text),
            Err(_) => Some(format!("not over after {:?}", track.script.timeout)),
        };
        let well = rounds.take(wrong.is_none());
        let text = || format!("the script fails: {}", wrong.as_deref().unwrap_or("it did before"));
        told((!well).then(text)).await;
        sleep_until(begun + track.interval).await;
    }
}
