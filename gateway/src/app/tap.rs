//! Taps for the admin API: what sessions show, in words.

use std::sync::Arc;

use amqp_codec::frame::kind;
use amqp_codec::text;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::admin::operator::Refusal;
use crate::admin::operator::tapping::Tapping;
use crate::admin::view::session::{TapLine, TapQuery};
use crate::session::Shared;
use crate::session::registry::SessionId;
use crate::session::tap::{Direction, MOST_OF_BODY, MOST_TAPS, Seen, TapId, Wanted};

/// Taps the sessions of the running gateway.
pub(super) struct Tapper {
    pub(super) shared: Arc<Shared>,
}

impl Tapping for Tapper {
    fn tap(&self, query: &TapQuery) -> Result<BoxStream<'static, TapLine>, Refusal> {
        let wanted = self.wanted(query)?;
        let full = |_| {
            Refusal::Conflict(format!(
                "There are {MOST_TAPS} taps already, which is the most: end one of them first."
            ))
        };
        let shared = self.shared.clone();
        let (id, lines) = shared.taps.add(wanted, &shared.registry).map_err(full)?;
        let end = End { shared, id };
        let told = stream::unfold((lines, end), |(mut lines, end)| async {
            let seen = lines.next().await?;
            Some((line(&seen), (lines, end)))
        });
        Ok(told.boxed())
    }
}

impl Tapper {
    fn wanted(&self, query: &TapQuery) -> Result<Wanted, Refusal> {
        let bodies = query.bodies.unwrap_or(0);
        if bodies > MOST_OF_BODY {
            let detail = format!("bodies: at most {MOST_OF_BODY} octets of each body are shown.");
            return Err(Refusal::Invalid(detail, Vec::new()));
        }
        if let Some(id) = query.session {
            self.tappable(id)?;
        }
        Ok(Wanted {
            session: query.session.map(SessionId),
            vhost: query.vhost.as_deref().map(Box::from),
            user: query.user.as_deref().map(Box::from),
            bodies,
        })
    }

    /// There is such a session, and if it is open, its frames are read.
    fn tappable(&self, id: u64) -> Result<(), Refusal> {
        let unknown = || Refusal::Unknown(format!("There is no session {id}."));
        let session = self.shared.registry.get(SessionId(id)).ok_or_else(unknown)?;
        if session.facts().is_some_and(|facts| facts.vhost.is_none()) {
            return Err(Refusal::Conflict(format!(
                "Session {id} does not speak AMQP 0-9-1: the gateway passes its bytes on without reading them."
            )));
        }
        Ok(())
    }
}

/// Ends a tap when it is dropped.
struct End {
    shared: Arc<Shared>,
    id: TapId,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.taps.remove(self.id, &self.shared.registry);
    }
}

fn line(seen: &Seen) -> TapLine {
    let (method, text) = match seen.kind {
        kind::METHOD => (text::method_name(&seen.payload), text::method(&seen.payload)),
        kind::HEADER => ("header", text::content_header(&seen.payload)),
        kind::BODY => ("body", String::new()),
        _ => ("heartbeat", String::new()),
    };
    // Its name stands apart.
    let text = text.strip_prefix(method).map(|rest| rest.trim_start().to_owned()).unwrap_or(text);
    let body = seen.kind == kind::BODY && !seen.payload.is_empty();
    TapLine {
        at: super::operator::time(seen.at),
        session: seen.session.0,
        direction: match seen.direction {
            Direction::FromClient => "from_client".to_owned(),
            Direction::FromNode => "from_node".to_owned(),
        },
        channel: seen.channel,
        method: method.to_owned(),
        text,
        size: seen.size as u64,
        body: body.then(|| BASE64_STANDARD.encode(&seen.payload)),
        dropped: seen.dropped,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn seen(kind: u8, payload: &[u8]) -> Seen {
        Seen {
            at: SystemTime::UNIX_EPOCH,
            session: SessionId(7),
            direction: Direction::FromNode,
            kind,
            channel: 3,
            size: payload.len() + 8,
            payload: payload.into(),
            dropped: 2,
        }
    }

    #[test]
    fn a_frame_becomes_a_line() {
        let told = line(&seen(kind::METHOD, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 9, 1]));
        let expected = TapLine {
            at: "1970-01-01T00:00:00.000Z".into(),
            session: 7,
            direction: "from_node".into(),
            channel: 3,
            method: "basic.ack".into(),
            text: "delivery-tag=9 multiple=true".into(),
            size: 21,
            body: None,
            dropped: 2,
        };
        assert_eq!(told, expected);
        let told = line(&seen(kind::BODY, b"hello"));
        assert_eq!(
            (&*told.method, &*told.text, told.body.as_deref()),
            ("body", "", Some("aGVsbG8="))
        );
        assert_eq!(line(&seen(kind::BODY, b"")).body, None);
        let told = line(&seen(kind::HEADER, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0]));
        assert_eq!((&*told.method, &*told.text), ("header", "body-size=5"));
        assert_eq!(line(&seen(kind::HEARTBEAT, b"")).method, "heartbeat");
    }
}
