//! A monitoring connection: AMQP by lapin, kept between checks.

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amqp_codec::reply::{CloseReason, ReplyCode};
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::{Stream, StreamExt};
use lapin::protocol::AMQPError;
use lapin::types::LongString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind, Event};
use socket2::{SockRef, Socket};
use tokio_util::task::AbortOnDropHandle;

use super::tap::{Tap, TapReactor};
use super::{Wrong, dial, introduce, secured};
use crate::cluster::node::Node;
use crate::config::model::{Health, ProxyOut};
use crate::tls::client::Origination;

/// Seconds. Checks find a dead node sooner; this is for the broker to find a dead gateway.
const HEARTBEAT: u16 = 30;

/// How to make a monitoring connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whom it is for.
    pub node: Arc<Node>,
    /// Login and vhost.
    pub health: Arc<Health>,
    /// The PROXY header that it has to be told first.
    pub proxy_protocol: ProxyOut,
    /// TLS with it, if it is spoken.
    pub tls: Option<Arc<Origination>>,
    /// What the broker's operator sees it called.
    pub name: String,
}

/// An open monitoring connection. Dropped, it is cut; [`Monitor::close`] leaves in order.
#[derive(Debug)]
pub struct Monitor {
    /// For the checks.
    pub connection: Connection,
    heard: Arc<Heard>,
    _listening: AbortOnDropHandle<()>,
    // Declared last: cut after lapin has let go.
    _socket: Cut,
}

/// What came over the connection without being asked for.
#[derive(Debug, Default)]
struct Heard {
    blocked: Mutex<Option<String>>,
}

impl Settings {
    /// In TLS 1.3 a node looks at the gateway's certificate when the handshake is over for the gateway, and its word on that
    /// may be lost with the connection.
    fn suspect(&self, wrong: Wrong) -> Wrong {
        match &self.tls {
            Some(tls) if wrong.reason == "closed" && tls.certificate().is_none() => {
                let hint = "the node may want a certificate of the gateway: name one with certificate in the section tls of the cluster";
                Wrong { text: format!("{}: {hint}", wrong.text), ..wrong }
            }
            _ => wrong,
        }
    }
}

impl Monitor {
    /// Connects and logs in.
    ///
    /// # Errors
    /// If the node does not answer, or refuses.
    pub async fn open(settings: &Settings) -> Result<Self, Wrong> {
        let Some(uri) = uri(settings) else {
            return Err(Wrong::misconfigured("login", "no user name is configured for it"));
        };
        let mut stream = dial(&settings.node).await?;
        introduce(&mut stream, settings.proxy_protocol).await?;
        let socket = SockRef::from(&stream).try_clone();
        let socket = Cut(socket.map_err(|error| Wrong::io("socket", &error))?);
        let tls = settings.tls.as_ref().map(|tls| (&**tls, &*settings.node.host));
        let stream = secured(stream, tls).await?;
        let tap = Mutex::new(Some(Tap::new(stream, settings.node.clone())));
        let connect = async move |_: AMQPUri, _: Runtime<_>| {
            let tap = tap.lock().unwrap_or_else(PoisonError::into_inner).take();
            // A second time: it is for us to say when to connect again.
            tap.map(AsyncTcpStream::Plain)
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected).into())
        };
        let tokio = Tokio::current();
        let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), TapReactor(tokio.clone())));
        let properties = ConnectionProperties::default()
            .with_connection_name(LongString::from(settings.name.as_str()))
            .with_client_property("product".into(), "amqp-gateway".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let connecting = Box::pin(Connection::connector(uri, runtime, connect, properties));
        let connection =
            connecting.await.map_err(|error| settings.suspect(wrong("login", &error)))?;
        let heard = Arc::new(Heard::default());
        let listening = listen(connection.events_listener(), settings.node.clone(), heard.clone());
        let listening = AbortOnDropHandle::new(tokio::spawn(listening));
        Ok(Self { connection, heard, _listening: listening, _socket: socket })
    }

    /// Does the connection still stand?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.status().connected()
    }

    /// Why the broker takes no messages on this connection, if so.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        self.heard.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves with connection.close, within `limit`.
    pub async fn close(self, limit: Duration) {
        let goodbye = Box::pin(self.connection.close(200, "the gateway stops watching".into()));
        // Whoever does not answer is cut.
        let _ = tokio::time::timeout(limit, goodbye).await;
    }
}

/// Keeps what the broker says without being asked; a forced close is news about the node.
async fn listen(
    events: impl Stream<Item = Event> + Send + 'static,
    node: Arc<Node>,
    heard: Arc<Heard>,
) {
    let mut events = Box::pin(events);
    while let Some(event) = events.next().await {
        let blocked = match event {
            Event::Error(error) => {
                if let ErrorKind::ProtocolError(error) = error.kind() {
                    let (code, text) = (ReplyCode(error.get_id()), error.get_message().as_str());
                    node.notices.closed(&CloseReason::new(code, text));
                }
                continue;
            }
            Event::ConnectionBlocked(reason) => Some(reason),
            Event::ConnectionUnblocked => None,
            _ => continue,
        };
        *heard.blocked.lock().unwrap_or_else(PoisonError::into_inner) = blocked;
    }
}

fn uri(settings: &Settings) -> Option<AMQPUri> {
    let login = settings.health.login.as_ref()?;
    let (username, password) = (login.username.to_string(), login.password.to_string());
    let address = settings.node.address;
    Some(AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username, password },
            host: address.ip().to_string(),
            port: address.port(),
        },
        vhost: settings.health.vhost.to_string(),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
    })
}

/// What an error of lapin says about the node. `refused` = the reason where a right is missing.
pub(super) fn wrong(refused: &'static str, error: &lapin::Error) -> Wrong {
    match error.kind() {
        ErrorKind::ProtocolError(error) => protocol(refused, error),
        ErrorKind::IOError(error) => Wrong::io("AMQP", error),
        ErrorKind::MissingHeartbeatError => Wrong::silent("timeout", "AMQP: no heartbeat"),
        ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
            Wrong::silent("closed", "AMQP: the node closed the connection")
        }
        _ => Wrong::failed("protocol", format!("AMQP: {error}")),
    }
}

fn protocol(refused: &'static str, error: &AMQPError) -> Wrong {
    let text = format!("AMQP: {} {}", error.get_id(), error.get_message());
    match error.get_id() {
        403 => Wrong::misconfigured(refused, text),
        530 => Wrong::misconfigured("vhost", text),
        320 => Wrong::failed("closed", text),
        _ => Wrong::failed("protocol", text),
    }
}

/// Ends a connection for good: lapin's thread, which may be waiting for it, ends with it.
#[derive(Debug)]
struct Cut(Socket);

impl Drop for Cut {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
