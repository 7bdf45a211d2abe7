//! What is shown, and what keys do to it.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::feed::{News, Said, Wanted};
use crate::admin::view::session::SortKey;

/// Without news for so long, what is shown is stale.
const STALE: Duration = Duration::from_secs(4);
/// Rows that a page key moves by.
const PAGE: usize = 15;

/// Columns that `s` goes through.
const SORTS: [SortKey; 8] = [
    SortKey::Published,
    SortKey::Delivered,
    SortKey::FromClient,
    SortKey::FromNode,
    SortKey::Unconfirmed,
    SortKey::Channels,
    SortKey::Age,
    SortKey::Id,
];

/// What is asked for at the beginning.
pub(super) const FIRST: Wanted = Wanted { sort: SORTS[0], descending: true };

/// A table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Table {
    #[default]
    Sessions,
    Nodes,
}

/// What to do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    /// Something else is wanted of the gateway.
    Ask,
    Leave,
}

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) table: Table,
    /// The row the cursor is on.
    pub(super) row: usize,
    sort: usize,
    ascending: bool,
    pub(super) said: Option<Said>,
    heard: Option<Instant>,
    /// Why there was no answer the last time.
    error: Option<String>,
}

impl View {
    /// Takes an answer, or why there is none.
    pub(super) fn hear(&mut self, news: News, now: Instant) {
        match news {
            Ok(said) => self.take(said, now),
            Err(error) => self.error = Some(error),
        }
    }

    /// Takes an answer.
    pub(super) fn take(&mut self, said: Said, now: Instant) {
        (self.said, self.heard, self.error) = (Some(said), Some(now), None);
        self.row = self.row.min(self.rows().saturating_sub(1));
    }

    pub(super) fn wanted(&self) -> Wanted {
        Wanted { sort: SORTS[self.sort], descending: !self.ascending }
    }

    /// Why what is shown is old, if it is, and for how long.
    pub(super) fn stale(&self, now: Instant) -> Option<(Duration, &str)> {
        let age = now.saturating_duration_since(self.heard?);
        let slow = (age >= STALE).then_some("it takes its time");
        self.error.as_deref().or(slow).map(|why| (age, why))
    }

    pub(super) fn rows(&self) -> usize {
        let Some(said) = &self.said else { return 0 };
        match self.table {
            Table::Sessions => said.sessions.sessions.len(),
            Table::Nodes => said.nodes.len(),
        }
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        let last = self.rows().saturating_sub(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Next::Leave;
            }
            KeyCode::Down | KeyCode::Char('j') => self.row = (self.row + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.row = self.row.saturating_sub(1),
            KeyCode::PageDown => self.row = (self.row + PAGE).min(last),
            KeyCode::PageUp => self.row = self.row.saturating_sub(PAGE),
            KeyCode::Home => self.row = 0,
            KeyCode::End => self.row = last,
            KeyCode::Tab | KeyCode::BackTab => {
                self.table = match self.table {
                    Table::Sessions => Table::Nodes,
                    Table::Nodes => Table::Sessions,
                };
                self.row = 0;
            }
            KeyCode::Char('s') => {
                (self.sort, self.row) = ((self.sort + 1) % SORTS.len(), 0);
                return Next::Ask;
            }
            KeyCode::Char('r') => {
                (self.ascending, self.row) = (!self.ascending, 0);
                return Next::Ask;
            }
            _ => {}
        }
        Next::Stay
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::view::session::Sessions;
    use crate::cli::{sessions, status};

    pub(in super::super) fn said(count: u64) -> Said {
        let all: Vec<_> = (1..=count).map(sessions::tests::sample).collect();
        let total = all.len();
        let sessions =
            Sessions { sessions: all, page: 1, page_size: 200, filtered: total, total, age_ms: 0 };
        Said { status: status::tests::sample(), sessions, nodes: Vec::new() }
    }

    fn press(view: &mut View, code: KeyCode) -> Next {
        view.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_move_sort_and_leave() {
        let mut view = View::default();
        view.take(said(3), Instant::now());
        for _ in 0..9 {
            assert_eq!(press(&mut view, KeyCode::Down), Next::Stay);
        }
        assert_eq!(view.row, 2);
        view.take(said(2), Instant::now());
        assert_eq!(view.row, 1, "rows that are gone");
        assert_eq!(press(&mut view, KeyCode::Char('s')), Next::Ask);
        assert_eq!(view.wanted(), Wanted { sort: SortKey::Delivered, descending: true });
        assert_eq!(press(&mut view, KeyCode::Char('r')), Next::Ask);
        assert!(!view.wanted().descending);
        press(&mut view, KeyCode::Tab);
        assert_eq!((view.table, view.row, view.rows()), (Table::Nodes, 0, 0));
        assert_eq!(press(&mut view, KeyCode::Down), Next::Stay);
        assert_eq!(press(&mut view, KeyCode::Char('q')), Next::Leave);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(interrupt), Next::Leave);
    }

    #[test]
    fn what_is_old_is_called_so() {
        let (mut view, now) = (View::default(), Instant::now());
        view.take(said(1), now);
        assert_eq!(view.stale(now), None);
        assert_eq!(view.stale(now + STALE), Some((STALE, "it takes its time")));
        view.hear(Err("refused".into()), now);
        assert_eq!(view.stale(now), Some((Duration::ZERO, "refused")));
        view.hear(Ok(said(1)), now);
        assert_eq!(view.stale(now), None);
    }
}
