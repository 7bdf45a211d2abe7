//! `/api/v1/events`: what happened, and what happens.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::accept::{EVENT_STREAM, JSON, choose};
use crate::admin::caller::Caller;
use crate::admin::extract::Query;
use crate::admin::line::Line;
use crate::admin::problem::Problem;
use crate::admin::view::config::{Event, EventKind, EventQuery, Events};
use crate::telemetry::events::{self, EventLog, KEPT};

/// Events that are told without a `limit`.
const FEW: usize = 200;
/// An idle stream says something that often, so that both sides know of each other.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a browser whose stream broke off may come back.
const RETRY: Duration = Duration::from_secs(2);

pub(super) fn router() -> OpenApiRouter<Arc<EventLog>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What happened, and what happens
///
/// As Server-Sent Events (the default): `id` is the number of the event, `event` its kind, `data` an Event as JSON. The
/// latest come first, oldest of them first, then those that happen. A client that comes back says `Last-Event-ID` (or
/// `after`) and misses none that is kept. One that is too slow is told by an event `lagged`, whose data
/// `{"missed": n}` says how many are lost to it. A comment every 15 seconds shows that the stream lives.
///
/// With `Accept: application/json` a list of what happened.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<u64>, Header, description = "As `after`; a browser sends it by itself")),
    responses(
        (status = 200, content((Events = "application/json"), (String = "text/event-stream"))),
        (status = 503, description = "There are as many streams as there may be"),
    ),
)]
async fn events(
    State(log): State<Arc<EventLog>>,
    Extension(line): Extension<Line>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Query(mut query): Query<EventQuery>,
) -> Result<Response, Problem> {
    within_bounds(&query)?;
    query.after = last_seen(&headers)?.or(query.after);
    if choose(&headers, &[EVENT_STREAM, JSON])? == JSON {
        let events = chosen(log.since(0), &query).iter().map(|event| shown(event)).collect();
        return Ok(Json(Events { events }).into_response());
    }
    let hello = stream::iter([sse::Event::default().retry(RETRY).comment("events")]);
    let news = follow(log, &query).map(|news| told(&news));
    let stream = line.place()?.hold(hello.chain(news), caller);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(stream.map(Ok::<_, Infallible>)).keep_alive(keep_alive).into_response())
}

fn within_bounds(query: &EventQuery) -> Result<(), Problem> {
    match query.limit {
        Some(limit) if !(1..=KEPT).contains(&limit) => {
            let detail = format!("The query: limit is {limit}; give 1 to {KEPT}.");
            Err(Problem::new(StatusCode::BAD_REQUEST, detail))
        }
        _ => Ok(()),
    }
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        let detail = "The header Last-Event-ID has to be the number of an event; leave it out for a new stream.";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

/// What `query` chooses of all that is kept, the oldest first.
fn chosen(mut kept: Vec<Arc<events::Event>>, query: &EventQuery) -> Vec<Arc<events::Event>> {
    // A number that was never given is one of an earlier process: nothing of this one was seen.
    let known = kept.last().map_or(0, |last| last.id);
    let after = query.after.filter(|after| *after <= known);
    kept.retain(|event| event.id > after.unwrap_or(0) && fits(event, query.kind));
    // Whoever comes back wants all of what was missed.
    let most = query.limit.unwrap_or_else(|| if after.is_some() { usize::MAX } else { FEW });
    kept.split_off(kept.len().saturating_sub(most))
}

fn fits(event: &events::Event, kind: Option<EventKind>) -> bool {
    kind.is_none_or(|wanted| wanted == kind_of(event.what.kind).0)
}

/// What is kept, then what happens.
fn follow(log: Arc<EventLog>, query: &EventQuery) -> impl Stream<Item = News> + use<> {
    // First, so that what happens between the two is not missed.
    let news = log.subscribe();
    let kept = log.since(0);
    let last = kept.last().map_or(0, |event| event.id);
    let waiting: VecDeque<_> = chosen(kept, query).into();
    let reader = Reader { log, news, waiting, kind: query.kind, last };
    stream::unfold(reader, async |mut reader| Some((reader.next().await?, reader)))
}

/// What somebody who follows events is told.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// It happened.
    Happened(Arc<events::Event>),
    /// So many have happened that are not kept any more.
    Missed(u64),
}

/// Somebody who follows events.
struct Reader {
    log: Arc<EventLog>,
    news: Receiver<Arc<events::Event>>,
    /// Those that it has not had yet.
    waiting: VecDeque<Arc<events::Event>>,
    kind: Option<EventKind>,
    /// The last one that was looked at.
    last: u64,
}

impl Reader {
    async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(News::Happened(event));
            }
            match self.news.recv().await {
                Ok(event) if event.id > self.last => {
                    self.last = event.id;
                    if fits(&event, self.kind) {
                        return Some(News::Happened(event));
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Some(self.catch_up()),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads again what is kept.
    fn catch_up(&mut self) -> News {
        self.news = self.log.subscribe();
        let kept = self.log.since(self.last);
        // Some may be gone in between: each sort has a limit of its own.
        let last = kept.last().map_or(self.last, |event| event.id);
        let missed = (last - self.last).saturating_sub(kept.len() as u64);
        self.last = last;
        self.waiting = kept.into_iter().filter(|event| fits(event, self.kind)).collect();
        News::Missed(missed)
    }
}

fn told(news: &News) -> sse::Event {
    let event = match news {
        News::Happened(event) => event,
        News::Missed(count) => {
            let data = format!(r#"{{"missed":{count}}}"#);
            return sse::Event::default().event("lagged").data(data);
        }
    };
    let data = serde_json::to_string(&shown(event)).unwrap_or_default();
    sse::Event::default().id(event.id.to_string()).event(kind_of(event.what.kind).1).data(data)
}

fn shown(event: &events::Event) -> Event {
    use crate::admin::view::config::Actor;
    use crate::admin::view::status::Severity;
    let what = &event.what;
    let actor = what.actor.as_ref().map(|actor| Actor {
        name: actor.name.clone(),
        by: actor.by.to_owned(),
        from: actor.from.clone(),
    });
    Event {
        id: event.id,
        at: humantime::format_rfc3339_millis(event.at).to_string(),
        kind: kind_of(what.kind).0,
        severity: match what.severity {
            events::Severity::Info => Severity::Info,
            events::Severity::Warning => Severity::Warning,
            events::Severity::Critical => Severity::Critical,
        },
        subject: what.subject.clone(),
        text: what.text.clone(),
        actor,
        details: what.details.clone(),
    }
}

/// The kind, and its name in JSON.
fn kind_of(kind: events::Kind) -> (EventKind, &'static str) {
    match kind {
        events::Kind::Node => (EventKind::Node, "node"),
        events::Kind::Cluster => (EventKind::Cluster, "cluster"),
        events::Kind::VirtualRouter => (EventKind::VirtualRouter, "virtual-router"),
        events::Kind::Config => (EventKind::Config, "config"),
        events::Kind::Operator => (EventKind::Operator, "operator"),
        events::Kind::Login => (EventKind::Login, "login"),
        events::Kind::Certificate => (EventKind::Certificate, "certificate"),
        events::Kind::Gateway => (EventKind::Gateway, "gateway"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::events::{Kind, Severity, What};

    fn add(log: &EventLog, kind: Kind, count: usize) {
        for _ in 0..count {
            log.add(What::new(kind, Severity::Info, "main/r1", "down"));
        }
    }

    fn id(news: Option<News>) -> u64 {
        match news {
            Some(News::Happened(event)) => event.id,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed_and_goes_on_with_what_is_kept() {
        let log = Arc::new(EventLog::default());
        add(&log, Kind::Node, 3);
        let mut stream = Box::pin(follow(log.clone(), &EventQuery::default()));
        assert_eq!(id(stream.next().await), 1);
        add(&log, Kind::Node, KEPT + 7);
        assert_eq!((id(stream.next().await), id(stream.next().await)), (2, 3));
        assert_eq!(stream.next().await, Some(News::Missed(7)));
        for expected in 11..=KEPT as u64 + 10 {
            assert_eq!(id(stream.next().await), expected);
        }
        add(&log, Kind::Node, 1);
        assert_eq!(id(stream.next().await), KEPT as u64 + 11, "and each just once");
    }

    #[tokio::test]
    async fn what_is_gone_between_others_that_are_kept_counts_as_missed() {
        let log = Arc::new(EventLog::default());
        let mut stream = Box::pin(follow(log.clone(), &EventQuery::default()));
        add(&log, Kind::Operator, 1);
        assert_eq!(id(stream.next().await), 1);
        add(&log, Kind::Operator, 1);
        add(&log, Kind::Node, KEPT + 7);
        assert_eq!(stream.next().await, Some(News::Missed(7)));
        assert_eq!((id(stream.next().await), id(stream.next().await)), (2, 10));
    }

    #[tokio::test]
    async fn whoever_comes_back_gets_all_that_came_after_and_others_the_latest() {
        let log = Arc::new(EventLog::default());
        add(&log, Kind::Node, 2 * FEW);
        let first = async |after: Option<u64>, limit: Option<usize>| {
            let query = EventQuery { after, limit, kind: None };
            id(Box::pin(follow(log.clone(), &query)).next().await)
        };
        assert_eq!(first(None, None).await, FEW as u64 + 1);
        assert_eq!(first(Some(5), None).await, 6);
        assert_eq!(first(Some(5), Some(10)).await, 2 * FEW as u64 - 9);
        let never_given = Some(1_000_000);
        assert_eq!(first(never_given, None).await, FEW as u64 + 1, "that was another process");
    }

    #[tokio::test]
    async fn other_kinds_are_left_out_before_and_after() {
        let log = Arc::new(EventLog::default());
        add(&log, Kind::Node, 1);
        add(&log, Kind::Config, 1);
        let query = EventQuery { kind: Some(EventKind::Config), ..EventQuery::default() };
        let mut stream = Box::pin(follow(log.clone(), &query));
        assert_eq!(id(stream.next().await), 2);
        add(&log, Kind::Node, 1);
        add(&log, Kind::Config, 1);
        assert_eq!(id(stream.next().await), 4);
    }
}
