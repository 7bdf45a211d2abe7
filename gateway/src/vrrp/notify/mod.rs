//! Tells people and programs: of transitions and alarms of virtual routers, and of nodes that go down and come back.
//!
//! One task hands the news out; each receiver has a task and a bounded queue of its own, so that a command that hangs
//! keeps no mail waiting.

mod attempt;
mod command;
mod email;
mod event;
mod webhook;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::board::{Board, News, Transition};
use crate::cluster::node::Node;
use crate::cluster::report::{Change, HealthEvent};
use crate::config::model::{Email, VirtualRouter};
use email::Mailer;
use event::{Event, What};
use webhook::Poster;

/// What waits for one receiver; what is on top is dropped, with a warning.
const QUEUE: usize = 256;
/// At the end of the gateway, for what is still to be told.
const FAREWELL: Duration = Duration::from_secs(5);

/// Tells whoever the configuration names of what happens from this call on, until `stop` and what was queued is told. Who
/// that is follows the board, and `email`.
pub fn run(
    gateway: Arc<str>,
    board: &Arc<Board>,
    email: watch::Receiver<Option<Email>>,
    health: broadcast::Receiver<HealthEvent>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    // Before the first poll, so that nothing is missed in between.
    let (news, routers, board) = (board.subscribe(), board.all_routers(), board.clone());
    async move {
        let mut desk = Desk::new(gateway, stop);
        desk.know(&routers);
        desk.work(&board, news, health, email).await;
        // With its queues: whoever has been told everything ends.
        let tasks = desk.tasks.clone();
        drop(desk);
        tasks.close();
        let _ = timeout(FAREWELL, tasks.wait()).await;
    }
}

/// Who is to be told of what.
struct Desk {
    gateway: Arc<str>,
    /// Each with what it was made of.
    commands: Vec<(Arc<str>, Vec<String>, Queue<Transition>)>,
    webhooks: Vec<(Arc<str>, Arc<str>, Queue<Event>)>,
    mail: Option<Queue<Event>>,
    /// A receiver that is not known any more is told what waits for it, and then its task ends.
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Nodes of which it was told that they do not serve.
    down: Vec<Weak<Node>>,
}

impl Desk {
    fn new(gateway: Arc<str>, stop: CancellationToken) -> Self {
        let (commands, webhooks, down) = (Vec::new(), Vec::new(), Vec::new());
        Self { gateway, commands, webhooks, mail: None, tasks: TaskTracker::new(), stop, down }
    }

    /// These are the virtual routers: starts a task for each receiver that is new, and forgets those that are none any more.
    fn know(&mut self, routers: &[Arc<VirtualRouter>]) {
        let mut commands = std::mem::take(&mut self.commands);
        let mut webhooks = std::mem::take(&mut self.webhooks);
        for router in routers {
            let name = &router.name;
            if let Some(command) = router.notify.command.clone() {
                let queue = take(&mut commands, name, &command).unwrap_or_else(|| {
                    let (queue, waiting) = Queue::new(format!("vrrp.{name}.notify.command"));
                    self.tasks.spawn(command::run(command.clone(), name.clone(), waiting));
                    queue
                });
                self.commands.push((name.clone(), command, queue));
            }
            if let Some(url) = router.notify.webhook.clone() {
                let known = take(&mut webhooks, name, &url);
                if let Some(queue) = known.or_else(|| self.poster(name, &url)) {
                    self.webhooks.push((name.clone(), url, queue));
                }
            }
        }
    }

    fn poster(&self, name: &Arc<str>, url: &str) -> Option<Queue<Event>> {
        let key = format!("vrrp.{name}.notify.webhook");
        match Poster::new(&key, url) {
            Ok(poster) => {
                let (queue, waiting) = Queue::new(key);
                self.tasks.spawn(poster.run(self.gateway.clone(), waiting, self.stop.clone()));
                Some(queue)
            }
            Err(cause) => {
                warn!("{key}: nothing will be posted: {cause}");
                None
            }
        }
    }

    fn mail_to(&mut self, email: Option<&Email>) {
        self.mail = email.and_then(|email| match Mailer::new(self.gateway.clone(), email) {
            Ok(mailer) => {
                let (queue, waiting) = Queue::new("notify.email".to_owned());
                self.tasks.spawn(mailer.run(waiting, self.stop.clone()));
                Some(queue)
            }
            Err(cause) => {
                warn!("notify.email: no mail will be sent: {cause}");
                None
            }
        });
    }

    async fn work(
        &mut self,
        board: &Board,
        mut news: broadcast::Receiver<News>,
        mut health: broadcast::Receiver<HealthEvent>,
        mut email: watch::Receiver<Option<Email>>,
    ) {
        let (mut watch_nodes, mut watch_email, stop) = (true, true, self.stop.clone());
        let first = email.borrow_and_update().clone();
        self.mail_to(first.as_ref());
        loop {
            tokio::select! {
                biased;
                heard = news.recv() => match heard {
                    Ok(news) => self.of_router(news),
                    Err(RecvError::Lagged(missed)) => {
                        warn!(missed, "too much happened to the virtual routers at once: not all of it is told");
                        self.know(&board.all_routers());
                    }
                    Err(RecvError::Closed) => return,
                },
                heard = health.recv(), if watch_nodes => match heard {
                    Ok(event) => self.of_node(&event),
                    Err(RecvError::Lagged(missed)) => {
                        warn!(missed, "too much happened to the nodes at once: not all of it is told");
                    }
                    Err(RecvError::Closed) => watch_nodes = false,
                },
                changed = email.changed(), if watch_email => match changed {
                    Ok(()) => {
                        let email = email.borrow_and_update().clone();
                        self.mail_to(email.as_ref());
                    }
                    Err(_) => watch_email = false,
                },
                // Last: what was said before is told.
                () = stop.cancelled() => return,
            }
        }
    }

    fn of_router(&mut self, news: News) {
        let (router, what, at) = match news {
            News::Transition(router, transition) => {
                let at = transition.at;
                if let Some(queue) = of(&mut self.commands, &router.name) {
                    queue.push(transition.clone());
                }
                (router.clone(), What::Transition(router, transition), at)
            }
            News::Alarm(router, alarm, text) => {
                (router.clone(), What::Alarm(router, alarm, text), SystemTime::now())
            }
            News::Routers(routers) => return self.know(&routers),
        };
        let event = Event { what, at };
        if let Some(queue) = of(&mut self.webhooks, &router.name) {
            queue.push(event.clone());
        }
        if let Some(mail) = &mut self.mail {
            mail.push(event);
        }
    }

    /// A node that is up is news only if it was told to be down.
    fn of_node(&mut self, HealthEvent { node, change }: &HealthEvent) {
        let Some(mail) = &mut self.mail else { return };
        self.down.retain(|node| node.strong_count() > 0);
        let is_it = |other: &Weak<Node>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(node));
        let was_down = self.down.iter().any(is_it);
        let trouble = match change {
            Change::Down { reason } => Some(reason.to_string()),
            Change::Minority(true) => Some("it is on the smaller side of a partition".to_owned()),
            Change::Up | Change::Minority(false) if was_down => None,
            _ => return,
        };
        match trouble {
            Some(_) if !was_down => self.down.push(Arc::downgrade(node)),
            Some(_) => {}
            None => self.down.retain(|other| !is_it(other)),
        }
        let (cluster, name) = (node.cluster.to_string(), node.name.to_string());
        let address = node.address.to_string();
        let what = What::Node { name: format!("{cluster}/{name}"), address, trouble };
        mail.push(Event { what, at: SystemTime::now() });
    }
}

fn of<'q, K, T>(
    queues: &'q mut [(Arc<str>, K, Queue<T>)],
    router: &Arc<str>,
) -> Option<&'q mut Queue<T>> {
    queues.iter_mut().find(|(name, ..)| name == router).map(|(.., queue)| queue)
}

/// The queue of the receiver that is made of this.
fn take<K: PartialEq, T>(
    queues: &mut Vec<(Arc<str>, K, Queue<T>)>,
    router: &Arc<str>,
    of: &K,
) -> Option<Queue<T>> {
    let known = queues.iter().position(|(name, key, _)| name == router && key == of)?;
    Some(queues.swap_remove(known).2)
}

/// What waits for one receiver.
struct Queue<T> {
    /// The key of the configuration that names the receiver.
    key: String,
    waiting: mpsc::Sender<T>,
    /// Dropped since it was full.
    dropped: u64,
}

impl<T> Queue<T> {
    fn new(key: String) -> (Self, mpsc::Receiver<T>) {
        let (waiting, receiver) = mpsc::channel(QUEUE);
        (Self { key, waiting, dropped: 0 }, receiver)
    }

    fn push(&mut self, news: T) {
        let key = &self.key;
        if self.waiting.try_send(news).is_err() {
            self.dropped += 1;
            if self.dropped == 1 {
                warn!(
                    "{key}: {QUEUE} are waiting to be told; further ones are dropped until that gets less"
                );
            }
        } else if self.dropped > 0 {
            warn!(dropped = self.dropped, "{key}: it can be told again");
            self.dropped = 0;
        }
    }
}
