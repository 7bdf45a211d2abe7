//! Watches the configuration file for changes (`gateway.reload_on_change`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the file is looked at. A change that has been seen twice counts: whoever writes it may not be done yet.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells without reading that a file is as it was: device, inode, length, and times of change. `None` = there is none.
pub(super) type Marks = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// A file that is looked at again and again. Links are followed, as Kubernetes has them.
pub(super) struct FileWatch {
    path: PathBuf,
    seen: Seen,
    looks: Interval,
    /// How it is looked at: where nobody waits for it, for its disk may hang.
    look: fn(&Path) -> Marks,
    /// One look at a time.
    looking: Option<JoinHandle<Marks>>,
}

/// What was seen of it.
#[derive(Debug)]
struct Seen {
    taken: Marks,
    last: Marks,
}

impl FileWatch {
    /// What is in the file now is known.
    pub(super) fn new(path: &Path) -> Self {
        let now = marks(path);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let seen = Seen { taken: now, last: now };
        Self { path: path.to_owned(), seen, looks, look: marks, looking: None }
    }

    /// Waits until it has changed, and come to rest. Nothing is lost when somebody ceases to wait.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.looking.is_none() {
                self.looks.tick().await;
            }
            let (path, look) = (&self.path, self.look);
            let looking = self.looking.get_or_insert_with(|| {
                let path = path.clone();
                spawn_blocking(move || look(&path))
            });
            let now = looking.await;
            self.looking = None;
            if now.is_ok_and(|now| self.seen.note(now)) {
                return;
            }
        }
    }

    /// What is in the file is known: it was read after it had these marks. A look under way may have been earlier.
    pub(super) fn known(&mut self, marks: Marks) {
        self.seen = Seen { taken: marks, last: marks };
        self.looking = None;
    }
}

impl Seen {
    fn note(&mut self, now: Marks) -> bool {
        let new = now.is_some() && now != self.taken && now == self.last;
        self.last = now;
        if new {
            self.taken = now;
        }
        new
    }
}

/// To be called where nobody waits for it.
pub(super) fn marks(path: &Path) -> Marks {
    let file = fs::metadata(path).ok()?;
    let changed = (file.ctime(), file.ctime_nsec());
    let modified = (file.mtime(), file.mtime_nsec());
    Some((file.dev(), file.ino(), file.len(), modified, changed))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_change_counts_once_it_has_come_to_rest_and_a_file_that_is_gone_is_none() {
        let of = |length| Some((1, 1, length, (0, 0), (0, 0)));
        let mut seen = Seen { taken: of(1), last: of(1) };
        let looks = [of(1), of(2), of(3), of(3), of(3), None, None, of(3), of(3), of(4), of(4)];
        let news: Vec<_> = looks.map(|now| seen.note(now)).to_vec();
        let at: Vec<_> = (0..news.len()).filter(|at| news[*at]).collect();
        assert_eq!(at, [3, 10]);
    }

    /// Looks at files, of which none comes to an end.
    static LOOKS: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test]
    async fn a_look_at_a_disk_that_hangs_holds_nobody_up_and_is_the_only_one() {
        let mut watch = FileWatch::new(Path::new("/"));
        watch.looks = interval(Duration::from_millis(1));
        watch.look = |_| {
            LOOKS.fetch_add(1, Ordering::Relaxed);
            // Not for ever: at its end the runtime waits for it.
            thread::sleep(Duration::from_secs(3));
            None
        };
        for _ in 0..20 {
            let waited = timeout(Duration::from_millis(10), watch.changed()).await;
            assert!(waited.is_err(), "it has not changed");
        }
        assert_eq!(LOOKS.load(Ordering::Relaxed), 1);
    }
}
