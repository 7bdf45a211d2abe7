//! Draws the screen: figures and alarms on top, a table, the keys at the bottom.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table as Grid, TableState};

use super::super::figures::{count, octets, plain, rate};
use super::super::{sessions, status, table};
use super::view::{Table, View};
use crate::admin::view::status::{Severity, Status};

/// Alarms that are shown.
const ALARMS: usize = 4;
/// Widths of the columns of sessions.
const OF_SESSIONS: [u16; 13] = [7, 9, 24, 21, 12, 14, 10, 18, 5, 8, 8, 7, 8];
/// And of nodes.
const OF_NODES: [u16; 7] = [24, 24, 9, 7, 8, 6, 60];

/// Draws what is known.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, now: Instant) {
    let Some(said) = &view.said else { return };
    let mut top = figures(&said.status);
    top.extend(alarms(&said.status));
    if let Some((age, why)) = view.stale(now) {
        let warning = format!(" NO ANSWER for {} s: {} ", age.as_secs(), plain(why));
        top.insert(0, Line::styled(warning, Style::new().fg(Color::White).bg(Color::Red)));
    }
    let height = u16::try_from(top.len()).unwrap_or(u16::MAX);
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(top), head);
    let title = match view.table {
        Table::Sessions => {
            let head = sessions::HEAD.map(str::to_owned);
            let rows = said.sessions.sessions.iter().map(sessions::row);
            grid(frame, body, view.row, head, rows, OF_SESSIONS);
            let sort = sessions::name_of(view.wanted().sort).unwrap_or_default();
            let order = if view.wanted().descending { "greatest first" } else { "least first" };
            format!("sessions by {sort}, {order}")
        }
        Table::Nodes => {
            let rows = said.nodes.iter().map(table::node_row);
            grid(frame, body, view.row, table::NODE_HEAD.map(str::to_owned), rows, OF_NODES);
            "nodes".to_owned()
        }
    };
    let keys = format!(" q leave  Tab sessions/nodes  s sort  r reverse  arrows move   {title}");
    frame.render_widget(Line::styled(keys, Style::new().add_modifier(Modifier::REVERSED)), foot);
}

fn figures(status: &Status) -> Vec<Line<'static>> {
    let Status { rates, process, .. } = status;
    let first = format!(
        "{} {}, {}, up {}, revision {}",
        plain(&status.gateway),
        plain(&status.version),
        status::state(status),
        status::up(status),
        status.revision
    );
    let sessions = format!(
        "sessions {} ({} in handshake, at most {})  channels {}  unconfirmed {}",
        count(status.sessions as u64),
        count(status.in_handshake as u64),
        count(status.max_connections as u64),
        count(status.channels),
        count(status.unconfirmed)
    );
    let messages = format!(
        "published {}/s  delivered {}/s  confirmed {}/s  acknowledged {}/s  returned {}/s",
        rate(rates.published),
        rate(rates.delivered),
        rate(rates.confirmed),
        rate(rates.acknowledged),
        rate(rates.returned)
    );
    let rest = format!(
        "from clients {}/s  from nodes {}/s  CPU {:.0} % of a core, of {}  memory {}",
        octets(rates.bytes_from_client),
        octets(rates.bytes_from_node),
        process.cpu * 100.0,
        process.cores,
        octets(process.memory_bytes as f64)
    );
    let bold = Style::new().add_modifier(Modifier::BOLD);
    vec![Line::styled(first, bold), sessions.into(), messages.into(), rest.into()]
}

fn alarms(status: &Status) -> Vec<Line<'static>> {
    let colour = |severity| match severity {
        Severity::Critical => Color::Red,
        Severity::Warning => Color::Yellow,
        Severity::Info => Color::Cyan,
    };
    let shown = status.alarms.iter().take(ALARMS);
    let mut lines: Vec<_> = shown
        .map(|alarm| {
            Line::styled(status::alarm_line(alarm), Style::new().fg(colour(alarm.severity)))
        })
        .collect();
    if let Some(more @ 1..) = status.alarms.len().checked_sub(ALARMS) {
        lines.push(format!("and {more} more: amqp-gateway status").into());
    }
    lines
}

fn grid<const N: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    cursor: usize,
    head: [String; N],
    rows: impl Iterator<Item = [String; N]>,
    widths: [u16; N],
) {
    let rows = rows.map(|row| Row::new(row.map(|cell| plain(&cell))));
    let head = Row::new(head).style(Style::new().add_modifier(Modifier::BOLD));
    let grid = Grid::new(rows, widths.map(Constraint::Length))
        .header(head)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    // The row of the cursor is always in sight.
    let mut state = TableState::default().with_selected(Some(cursor));
    frame.render_stateful_widget(grid, area, &mut state);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossterm::event::{KeyCode, KeyEvent};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::view::tests::said;
    use super::*;

    fn screen(view: &View, now: Instant, size: (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a terminal");
        terminal.draw(|frame| draw(frame, view, now)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn the_screen_has_figures_alarms_rows_and_keys() {
        let (mut view, now) = (View::default(), Instant::now());
        view.take(said(40), now);
        let drawn = screen(&view, now, (170, 24));
        for text in [
            "gw1 0.1.0, ready, up 1d 2h, revision 3",
            "sessions 1,234 (5 in handshake, at most 10,000)",
            "published 1,500/s",
            "CPU 25 % of a core, of 2  memory 45.0 MB",
            "CRITICAL node main/r1: down: refused",
            "10.0.0.7:4711",
            "shop\\u{1b}[31m",
            "sessions by published, greatest first",
        ] {
            assert!(drawn.contains(text), "{text}:\n{drawn}");
        }
        view.key(KeyEvent::from(KeyCode::End));
        assert!(screen(&view, now, (170, 24)).contains("\"40 "), "the cursor's row is in sight");
        view.key(KeyEvent::from(KeyCode::Tab));
        assert!(screen(&view, now, (170, 24)).contains("WEIGHT"));
    }

    #[test]
    fn it_draws_on_any_screen_and_says_when_it_is_old() {
        let (mut view, now) = (View::default(), Instant::now());
        screen(&view, now, (20, 2));
        view.take(said(3), now);
        view.hear(Err("refused".into()), now);
        for size in [(1, 1), (20, 3), (80, 24), (400, 100)] {
            screen(&view, now, size);
        }
        let later = now + Duration::from_secs(7);
        assert!(screen(&view, later, (100, 24)).contains("NO ANSWER for 7 s: refused"));
    }
}
