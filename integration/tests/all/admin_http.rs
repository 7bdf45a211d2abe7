//! The admin address of a gateway, asked with and without TLS.

use std::net::SocketAddr;

use integration::http_peer::{Head, HttpPeer};
use integration::tls::ClientTls;
use serde_json::{Value, json};

/// Passwords of users, and hashes of them that are cheap to look at.
pub(crate) const ADMIN: (&str, &str) = (
    "Pw-Admin-7f3e9c1b",
    "$argon2id$v=19$m=256,t=1,p=1$cZnCaFdXugeuRlUS3kGR4g$sTEkfJbYgSiR6J+nZ5ytgiRAgdfzrB1zhR6HyE7icck",
);
pub(crate) const OPERATOR: (&str, &str) = (
    "Pw-Operator-2a8d",
    "$argon2id$v=19$m=256,t=1,p=1$V/D8a5O6sw8Tc01k8+NMbw$EadXcjIk1xKXnJFBmm9Wctfr+/LTCiyOn4BY9Bw2IrE",
);
pub(crate) const VIEWER: (&str, &str) = (
    "Pw-Viewer-51c0",
    "$argon2id$v=19$m=256,t=1,p=1$pC5EgpqMZum1BSn+PA4RQw$8Ft4rPTMbv6PL9P8NVFmdffyF1MmaqlGmn1tkW4jdQE",
);

/// The sections of three users, named as their roles.
pub(crate) fn users() -> String {
    let section = |role: &str, hash: &str| {
        format!(
            "[[admin.user]]\nname = \"{role}\"\npassword_hash = \"{hash}\"\nrole = \"{role}\"\n"
        )
    };
    [("admin", ADMIN), ("operator", OPERATOR), ("viewer", VIEWER)]
        .map(|(role, (_, hash))| section(role, hash))
        .concat()
}

/// Somebody who asks, each time on a connection of its own.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<ClientTls>,
    /// Lines of the head that go with each request.
    pub(crate) lines: Vec<String>,
}

/// What a login has given.
#[derive(Debug, Clone)]
pub(crate) struct LoggedIn {
    pub(crate) token: String,
    pub(crate) csrf: String,
    /// The whole header.
    pub(crate) cookie: String,
}

impl Asker {
    pub(crate) fn new(address: SocketAddr, tls: Option<ClientTls>) -> Self {
        Self { address, tls, lines: Vec::new() }
    }

    /// The same with one more line.
    pub(crate) fn with(&self, line: impl Into<String>) -> Self {
        let lines = self.lines.iter().cloned().chain([line.into()]).collect();
        Self { lines, ..self.clone() }
    }

    /// Logs in.
    pub(crate) async fn login(&self, name: &str, password: &str) -> (u16, Head, Value) {
        let body = json!({ "username": name, "password": password }).to_string();
        let (head, text) = self.ask("POST /api/v1/login", &body).await;
        (head.status(), head, serde_json::from_str(&text).unwrap())
    }

    /// Logs in as somebody who may.
    pub(crate) async fn logged_in(&self, name: &str, password: &str) -> LoggedIn {
        let (status, head, answer) = self.login(name, password).await;
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let cookie = head.header("set-cookie").unwrap().to_owned();
        LoggedIn { token: text("token"), csrf: text("csrf_token"), cookie }
    }

    /// `METHOD PATH` with a body of JSON: the answer.
    pub(crate) async fn ask(&self, request: &str, body: &str) -> (Head, String) {
        let mut peer = self.begin(request, body).await;
        let head = peer.head().await.unwrap();
        let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
        let text = peer.text(length).await.unwrap();
        (head, text)
    }

    /// The same, of which the answer is not read yet.
    pub(crate) async fn begin(&self, request: &str, body: &str) -> HttpPeer {
        let connected = match &self.tls {
            Some(tls) => HttpPeer::connect_tls(self.address, tls).await,
            None => HttpPeer::connect(self.address).await,
        };
        let mut peer = connected.unwrap();
        let lines: String = self.lines.iter().map(|line| format!("{line}\r\n")).collect();
        let (host, length) = (self.address, body.len());
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{lines}\r\n"
        );
        peer.send(&(head + body)).await.unwrap();
        peer
    }
}
