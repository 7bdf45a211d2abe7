//! `top`: the gateway as it is now, in a terminal.

mod draw;
mod feed;
mod view;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::Args;
use crossterm::event::{self, Event, KeyEventKind};

use super::login::Admin;
use super::operate::Failed;
use feed::Feed;
use view::{Next, View};

/// How long keys are waited for before the screen is looked at again.
const LOOK: Duration = Duration::from_millis(200);

/// `top`
#[derive(Debug, Args)]
pub(super) struct Top {
    #[command(flatten)]
    admin: Admin,
}

impl Top {
    pub(super) fn run(&self) -> Result<(), Failed> {
        if self.admin.json {
            return Err(
                "top: it shows tables in a terminal; for JSON ask status, sessions and nodes"
                    .to_owned()
                    .into(),
            );
        }
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(
                "top: it takes a terminal; for scripts there are status, sessions and nodes"
                    .to_owned()
                    .into(),
            );
        }
        let client = self.admin.client()?;
        let mut view = View::default();
        // Before the screen is taken: who cannot ask is told why in peace.
        view.take(feed::first(&client)?, Instant::now());
        let feed = Feed::start(client);
        // It puts the terminal back after a panic, too.
        let failed = |error: io::Error| Failed::Told(format!("top: {error}"));
        let mut terminal = ratatui::try_init().map_err(failed)?;
        let done = follow(&mut terminal, &mut view, &feed);
        ratatui::try_restore().map_err(failed)?;
        done.map_err(failed)
    }
}

/// Draws until somebody has seen enough.
fn follow(terminal: &mut ratatui::DefaultTerminal, view: &mut View, feed: &Feed) -> io::Result<()> {
    loop {
        if let Some(news) = feed.news() {
            view.hear(news, Instant::now());
        }
        terminal.draw(|frame| draw::draw(frame, view, Instant::now()))?;
        if !event::poll(LOOK)? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            match view.key(key) {
                Next::Leave => return Ok(()),
                Next::Ask => feed.ask(view.wanted()),
                Next::Stay => {}
            }
        }
    }
}
