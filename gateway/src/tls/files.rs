//! What is in files now, without keeping it: enough to tell whether it has changed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::pem;

/// The content of a file at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    Content(u64),
    Unreadable(io::ErrorKind),
}

/// What tells without reading that a file is as it was: device, inode, length, and times of change.
type Marks = (u64, u64, u64, (i64, i64), (i64, i64));

/// Files that are looked at again and again. Links are followed, as Kubernetes has them.
#[derive(Debug, Default, Clone)]
pub(super) struct Files {
    seen: HashMap<PathBuf, (Marks, Stamp)>,
}

impl Files {
    /// What is in a file. One whose marks have not changed is not read.
    pub(super) fn look(&mut self, path: &Path) -> Stamp {
        let before = self.seen.get(path).copied();
        let now = look(path, before)
            .unwrap_or_else(|error| (Marks::default(), Stamp::Unreadable(error.kind())));
        self.seen.insert(path.to_owned(), now);
        now.1
    }

    /// Looks at all of them.
    pub(super) fn look_at_all(&mut self, paths: Vec<PathBuf>) {
        for path in paths {
            self.look(&path);
        }
    }

    /// Takes what `other` knows of these, and forgets all the rest.
    pub(super) fn follow(&mut self, other: &Self, paths: &HashSet<&PathBuf>) {
        self.seen.retain(|path, _| paths.contains(path));
        for (path, seen) in other.seen.iter().filter(|(path, _)| paths.contains(path)) {
            self.seen.entry(path.clone()).or_insert(*seen);
        }
    }

    /// What was in a file when it was looked at last.
    pub(super) fn last(&self, path: &Path) -> Stamp {
        let last = self.seen.get(path).map(|(_, stamp)| *stamp);
        last.unwrap_or(Stamp::Unreadable(io::ErrorKind::NotFound))
    }
}

fn look(path: &Path, before: Option<(Marks, Stamp)>) -> io::Result<(Marks, Stamp)> {
    // Opened even if it is not read: what root has read, the gateway's user may not be allowed to.
    let file = pem::open(path)?;
    let marks = marks(&file.metadata()?);
    if let Some(before) = before.filter(|(of_then, _)| *of_then == marks) {
        return Ok(before);
    }
    let mut hasher = DefaultHasher::new();
    pem::all_of(file)?.hash(&mut hasher);
    Ok((marks, Stamp::Content(hasher.finish())))
}

fn marks(metadata: &fs::Metadata) -> Marks {
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    (metadata.dev(), metadata.ino(), metadata.len(), modified, changed)
}

/// Something that is looked at again and again. What is new counts once it has been the same twice: whoever writes a
/// certificate and its key one after the other is not taken for one who has mixed them up.
#[derive(Debug)]
pub(super) struct Settled<T> {
    taken_over: T,
    last: T,
}

impl<T: PartialEq + Clone> Settled<T> {
    /// `now` is what is taken over.
    pub(super) fn new(now: T) -> Self {
        Self { last: now.clone(), taken_over: now }
    }

    /// Is that new, and the same as before? Then it is taken over.
    pub(super) fn look(&mut self, now: T) -> bool {
        let new = now != self.taken_over && now == self.last;
        if new {
            self.taken_over = now.clone();
        }
        self.last = now;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_counts_once_it_has_come_to_rest() {
        let mut settled = Settled::new(1);
        let looks = [1, 2, 3, 3, 3, 1, 3, 3, 4, 4];
        let news: Vec<_> = looks.map(|now| settled.look(now)).to_vec();
        let expected =
            [false, false, false, true, false, false, false, false, false, true].to_vec();
        assert_eq!(news, expected);
    }

    #[test]
    fn a_file_changes_by_its_content_alone_and_behind_links_too() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| directory.path().join(name);
        let mut files = Files::default();
        assert_eq!(files.look(&file("link")), Stamp::Unreadable(io::ErrorKind::NotFound));
        fs::create_dir(file("one")).expect("a directory");
        fs::create_dir(file("two")).expect("a directory");
        fs::write(file("one/pem"), "a").expect("a file");
        fs::write(file("two/pem"), "b").expect("a file");
        // As in a volume of Kubernetes: a link to a link that is swapped.
        std::os::unix::fs::symlink(file("one"), file("data")).expect("a link");
        std::os::unix::fs::symlink(file("data/pem"), file("link")).expect("a link");
        let first = files.look(&file("link"));
        assert!(matches!(first, Stamp::Content(_)));
        fs::write(file("one/pem"), "a").expect("a file");
        assert_eq!(files.look(&file("link")), first, "written again, as it was");
        std::os::unix::fs::symlink(file("two"), file("new")).expect("a link");
        fs::rename(file("new"), file("data")).expect("a swap");
        assert_ne!(files.look(&file("link")), first);
    }
}
