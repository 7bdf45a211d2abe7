//! What differs between two configurations: section by section and key by key, in words. Secrets are never shown.

mod sections;

use std::time::Duration;

use similar::TextDiff;

use super::mask::masked;
use super::model::Model;
use sections::{Section, Value, sections};

/// For comparing two texts line by line; one that takes longer is compared less well.
const PATIENCE: Duration = Duration::from_millis(500);
/// Lines shown around each that differs.
const AROUND: usize = 3;

/// Longest line that tells what has changed, in bytes: lists of networks or nodes may be far longer.
const LONGEST: usize = 1024;

/// Keys that a running gateway cannot change.
const RESTART: [(&str, &[&str]); 1] = [("gateway", &["name", "workers", "user", "group"])];

/// What differs in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The section: `cluster.main.node.rabbit1`.
    pub section: String,
    /// What became of it.
    pub how: How,
    /// In words, key by key: `weight: 1 -> 2`.
    pub what: Vec<String>,
    /// Does it take a restart to come into force?
    pub needs_restart: bool,
}

/// What became of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum How {
    Added,
    Removed,
    Changed,
}

impl How {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.section, self.how.name())?;
        if self.how == How::Changed && !self.what.is_empty() {
            write!(f, ": {}", cut(self.what.join(", ")))?;
        }
        if self.needs_restart {
            f.write_str(" (takes a restart)")?;
        }
        Ok(())
    }
}

/// What differs, in the order of the sections.
#[must_use]
pub fn changes(old: &Model, new: &Model) -> Vec<Change> {
    let (before, after) = (sections(old), sections(new));
    let find = |all: &[Section], name: &str| all.iter().position(|section| section.name == name);
    let mut changes = Vec::new();
    for section in &before {
        match find(&after, &section.name) {
            None => changes.push(whole(section, How::Removed)),
            Some(at) => changes.extend(changed(section, &after[at])),
        }
    }
    let added = after.iter().filter(|section| find(&before, &section.name).is_none());
    changes.extend(added.map(|section| whole(section, How::Added)));
    changes.extend(reordered(&before, &after));
    for line in changes.iter_mut().flat_map(|change| &mut change.what) {
        *line = cut(std::mem::take(line));
    }
    changes
}

/// The two texts as `diff -u` compares them, secrets starred out; empty if nothing that may be shown differs.
#[must_use]
pub fn text(old: &str, new: &str, names: (&str, &str)) -> String {
    let (old, new) = (masked(old), masked(new));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&old, &new);
    diff.unified_diff().context_radius(AROUND).header(names.0, names.1).to_string()
}

/// At most [`LONGEST`], and told to be more.
fn cut(mut line: String) -> String {
    if line.len() > LONGEST {
        let end = (0..LONGEST).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or(0));
        line.push_str(" ...");
    }
    line
}

fn whole(section: &Section, how: How) -> Change {
    let keys = section.keys.iter().filter(|(_, value)| !value.is_nothing());
    let what = keys.map(|(key, value)| format!("{key}: {}", value.shown())).collect();
    Change { section: section.name.clone(), how, what, needs_restart: false }
}

/// What takes a restart is told apart from the rest.
fn changed(old: &Section, new: &Section) -> Vec<Change> {
    let restart = RESTART.iter().find(|(name, _)| *name == old.name).map_or(&[][..], |(_, k)| k);
    let (mut at_once, mut later) = (Vec::new(), Vec::new());
    for (key, before) in &old.keys {
        let after = new.keys.iter().find(|(other, _)| other == key).map(|(_, value)| value);
        let Some(after) = after.filter(|after| *after != before) else { continue };
        let to = if restart.contains(key) { &mut later } else { &mut at_once };
        to.push(in_words(key, before, after));
    }
    let change = |what: Vec<String>, needs_restart| {
        let section = old.name.clone();
        (!what.is_empty()).then_some(Change { section, how: How::Changed, what, needs_restart })
    };
    change(at_once, false).into_iter().chain(change(later, true)).collect()
}

fn in_words(key: &str, before: &Value, after: &Value) -> String {
    match (before, after) {
        (Value::Secret(_), Value::Secret(_)) => format!("{key}: changed"),
        (Value::List(before), Value::List(after)) => {
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|item| !those.contains(item)).cloned().collect()
            };
            let (gone, come) = (only(before, after), only(after, before));
            match gone.is_empty() && come.is_empty() {
                true => format!("{key}: in another order: {}", after.join(", ")),
                false => {
                    let come = come.iter().map(|item| format!("+ {item}"));
                    let gone = gone.iter().map(|item| format!("- {item}"));
                    format!("{key}: {}", come.chain(gone).collect::<Vec<_>>().join(", "))
                }
            }
        }
        _ => format!("{key}: {} -> {}", before.shown(), after.shown()),
    }
}

/// Sections of which the first that fits counts, and that stand in another order now.
fn reordered(before: &[Section], after: &[Section]) -> Vec<Change> {
    let mut groups: Vec<&str> = Vec::new();
    for group in before.iter().filter_map(|section| section.first_of.as_deref()) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let order = |all: &[Section], others: &[Section], group: &str| -> Vec<String> {
        let of_group = all.iter().filter(|section| section.first_of.as_deref() == Some(group));
        let in_both = of_group.filter(|s| others.iter().any(|other| other.name == s.name));
        in_both.map(|section| section.name.clone()).collect()
    };
    let moved = groups.into_iter().filter_map(|group| {
        let (was, is) = (order(before, after, group), order(after, before, group));
        (was != is).then(|| Change {
            section: group.to_owned(),
            how: How::Changed,
            what: vec![format!("order: {} -> {}", was.join(", "), is.join(", "))],
            needs_restart: false,
        })
    });
    moved.collect()
}

#[cfg(test)]
mod tests;
