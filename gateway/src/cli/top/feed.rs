//! Asks the gateway once a second, on a thread of its own, so that keys never wait for an answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::super::client::{Client, query};
use super::super::{sessions, status};
use crate::admin::view::session::{Sessions, SortKey};
use crate::admin::view::status::Status;
use crate::admin::view::{Node, Nodes};

const EVERY: Duration = Duration::from_secs(1);
/// Sessions that are shown.
const MOST: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) sort: SortKey,
    pub(super) descending: bool,
}

/// What the gateway says.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) status: Status,
    pub(super) sessions: Sessions,
    pub(super) nodes: Vec<Node>,
}

pub(super) type News = Result<Said, String>;

/// The thread that asks; ends when it is dropped.
pub(super) struct Feed {
    wanted: Sender<Wanted>,
    news: Receiver<News>,
}

impl Feed {
    pub(super) fn start(client: Client) -> Self {
        let (wanted, wishes) = channel();
        let (told, news) = channel();
        thread::spawn(move || {
            let mut wanted = super::view::FIRST;
            loop {
                match wishes.recv_timeout(EVERY) {
                    Ok(wish) => wanted = wish,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                // Keys come faster than answers: the last one counts.
                wanted = wishes.try_iter().last().unwrap_or(wanted);
                if told.send(ask(&client, wanted)).is_err() {
                    return;
                }
            }
        });
        Self { wanted, news }
    }

    /// Asks at once, and like this from now on.
    pub(super) fn ask(&self, wanted: Wanted) {
        // If the thread is gone, there are no news, which is shown.
        let _ = self.wanted.send(wanted);
    }

    /// The latest answer, if there is one that has not been seen.
    pub(super) fn news(&self) -> Option<News> {
        self.news.try_iter().last()
    }
}

/// What is shown first.
pub(super) fn first(client: &Client) -> News {
    ask(client, super::view::FIRST)
}

fn ask(client: &Client, wanted: Wanted) -> News {
    let path = query(
        sessions::PATH,
        &[
            ("page_size", Some(MOST.to_string())),
            ("sort", sessions::name_of(wanted.sort)),
            ("descending", Some(wanted.descending.to_string())),
        ],
    );
    let Nodes { nodes } = client.get("/api/v1/nodes")?;
    Ok(Said { status: client.get(status::PATH)?, sessions: client.get(&path)?, nodes })
}
