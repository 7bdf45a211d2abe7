//! Watches the configuration file for changes (`gateway.reload_on_change`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file is looked at. A change that has been seen twice counts: whoever writes it may not be done yet.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells without reading that a file is as it was: device, inode, length, and times of change. `None` = there is none.
type Marks = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

/// A file that is looked at again and again. Links are followed, as Kubernetes has them.
#[derive(Debug)]
pub(super) struct FileWatch {
    path: PathBuf,
    taken: Marks,
    last: Marks,
}

impl FileWatch {
    /// What is in the file now is known.
    pub(super) fn new(path: &Path) -> Self {
        let now = marks(path);
        Self { path: path.to_owned(), taken: now, last: now }
    }

    /// Looks once: has it changed, and come to rest?
    pub(super) fn look(&mut self) -> bool {
        let now = marks(&self.path);
        self.note(now)
    }

    fn note(&mut self, now: Marks) -> bool {
        let new = now.is_some() && now != self.taken && now == self.last;
        self.last = now;
        if new {
            self.taken = now;
        }
        new
    }

    /// What is in the file now is known: somebody is about to read it.
    pub(super) fn known(&mut self) {
        let now = marks(&self.path);
        (self.taken, self.last) = (now, now);
    }
}

fn marks(path: &Path) -> Marks {
    let file = fs::metadata(path).ok()?;
    let changed = (file.ctime(), file.ctime_nsec());
    let modified = (file.mtime(), file.mtime_nsec());
    Some((file.dev(), file.ino(), file.len(), modified, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_has_come_to_rest_and_a_file_that_is_gone_is_none() {
        let of = |length| Some((1, 1, length, (0, 0), (0, 0)));
        let mut watch = FileWatch { path: PathBuf::new(), taken: of(1), last: of(1) };
        let looks = [of(1), of(2), of(3), of(3), of(3), None, None, of(3), of(3), of(4), of(4)];
        let news: Vec<_> = looks.map(|now| watch.note(now)).to_vec();
        let at: Vec<_> = (0..news.len()).filter(|at| news[*at]).collect();
        assert_eq!(at, [3, 10]);
    }
}
