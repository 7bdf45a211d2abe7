//! Files may be on a disk that does not answer: whoever asks for one waits only so long, on no thread that others need.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

/// Askers that were given up, whose threads still wait for the disk. With more, nobody is asked: threads have a bound,
/// and passwords are looked at by the same ones.
const GIVEN_UP: usize = 8;

/// Whoever asks for files, one after the other.
#[derive(Debug)]
pub(super) struct Disk {
    turn: Mutex<()>,
    threads: Arc<Semaphore>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum Unanswered {
    #[error("the disk did not answer within {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Broken(#[from] JoinError),
}

impl Default for Disk {
    fn default() -> Self {
        Self { turn: Mutex::default(), threads: Arc::new(Semaphore::new(GIVEN_UP)) }
    }
}

impl Disk {
    /// Does `work` on a thread where nobody waits for it, when those before are done or given up.
    ///
    /// # Errors
    /// It was not done within `patience`, and is given up; or it panicked.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let answer = async {
            let _turn = self.turn.lock().await;
            let thread = self.threads.clone().acquire_owned().await;
            let answer = spawn_blocking(move || {
                let _held_until_the_disk_answers = thread;
                work()
            });
            answer.await
        };
        match timeout(patience, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Unanswered::Late(patience)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex as Lock};

    use super::*;

    /// A disk that answers once it works, and who has asked it.
    #[derive(Default)]
    struct Hanging {
        works: Lock<bool>,
        news: Condvar,
        asked: AtomicUsize,
    }

    impl Hanging {
        fn ask(&self) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let works = self.works.lock().expect("a disk");
            *self.news.wait_while(works, |works| !*works).expect("a disk")
        }

        fn works(&self) {
            *self.works.lock().expect("a disk") = true;
            self.news.notify_all();
        }
    }

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_waiting_and_takes_few_threads() {
        let (disk, hanging) = (Disk::default(), Arc::new(Hanging::default()));
        let ask = |patience| {
            let hanging = hanging.clone();
            disk.ask(patience, move || hanging.ask())
        };
        for _ in 0..3 * GIVEN_UP {
            let answer = ask(Duration::from_millis(20)).await;
            assert!(matches!(answer, Err(Unanswered::Late(_))), "{answer:?}");
        }
        // A thread that was given up may begin later than that.
        let begun = async {
            while hanging.asked.load(Ordering::Relaxed) < GIVEN_UP {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), begun).await.expect("all threads to begin");
        assert_eq!(hanging.asked.load(Ordering::Relaxed), GIVEN_UP);
        hanging.works();
        assert!(ask(Duration::from_secs(60)).await.expect("it works again"));
    }

    #[tokio::test]
    async fn one_at_a_time_is_asked() {
        let (disk, busy) = (Disk::default(), Arc::new(AtomicUsize::new(0)));
        let one = || {
            let busy = busy.clone();
            disk.ask(Duration::from_secs(60), move || {
                let others = busy.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
                busy.fetch_sub(1, Ordering::Relaxed);
                others
            })
        };
        for others in futures_util::future::join_all((0..8).map(|_| one())).await {
            assert_eq!(others.expect("an answer"), 0);
        }
    }
}
