//! `sessions` and `close`.

use std::io::Write;

use clap::Args;
use serde_json::json as value;
use ureq::http::Method;

use super::client::{Client, query};
use super::figures::{age, count, octets, or_dash, rate, short};
use super::login::Admin;
use super::operate::{Failed, json};
use super::table::aligned;
use crate::admin::view::session::{Closing, Session, Sessions, SortKey};

pub(super) const PATH: &str = "/api/v1/sessions";
/// Sessions a page, at most.
const PAGE: usize = 500;
/// Pages that are asked for, at most: should they not end.
const PAGES: usize = 10_000;

/// `sessions`
#[derive(Debug, Args)]
pub(super) struct ListSessions {
    /// Only this one, in full.
    #[arg(value_name = "SESSION")]
    id: Option<u64>,
    /// Those that arrived at this listener.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Those of this vhost.
    #[arg(long, value_name = "NAME")]
    vhost: Option<String>,
    /// Those of this user.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Those on this cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Those on this node, as cluster/node.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Those whose client's name has this in it.
    #[arg(long, value_name = "TEXT")]
    client: Option<String>,
    /// Those from this address or network, such as 10.0.0.0/8.
    #[arg(long, value_name = "ADDRESS")]
    source: Option<String>,
    /// Those that have this in any text.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// The column to sort by: id, client, product, source, user, vhost, listener, node, channels, published, delivered,
    /// from_client, from_node, unconfirmed, age or state.
    #[arg(long, value_name = "COLUMN", value_parser = sort_key)]
    sort: Option<SortKey>,
    /// The greatest first.
    #[arg(long)]
    descending: bool,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "all", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// All of them, page after page.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    admin: Admin,
}

/// `close`
#[derive(Debug, Args)]
pub(super) struct CloseSession {
    /// The session, as `amqp-gateway sessions` lists it.
    #[arg(value_name = "SESSION")]
    id: u64,
    #[command(flatten)]
    admin: Admin,
}

/// A column, as the API names it.
pub(super) fn sort_key(name: &str) -> Result<SortKey, String> {
    let key = serde_json::from_value(value!(name.replace('-', "_")));
    key.map_err(|_| "there is no such column; --help names them".to_owned())
}

/// A column's name in the API.
pub(super) fn name_of(key: SortKey) -> Option<String> {
    serde_json::to_value(key).ok()?.as_str().map(str::to_owned)
}

impl ListSessions {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let client = self.admin.client()?;
        if let Some(id) = self.id {
            return self.one(&client, id, out);
        }
        let found = if self.all {
            self.all(&client)?
        } else {
            client.get(&self.page(1, self.limit.into()))?
        };
        if self.admin.json {
            return json(out, &found);
        }
        write!(out, "{}", table(&found.sessions))?;
        if found.sessions.len() < found.filtered {
            let (shown, of) = (count(found.sessions.len() as u64), count(found.filtered as u64));
            writeln!(out, "{shown} of {of} sessions; --all lists all of them")?;
        }
        Ok(())
    }

    fn one(&self, client: &Client, id: u64, out: &mut dyn Write) -> Result<(), Failed> {
        let path = format!("{PATH}/{id}");
        if self.admin.json {
            return json(out, &client.get::<serde_json::Value>(&path)?);
        }
        let session: Session = client.get(&path)?;
        Ok(write!(out, "{}", details(&session))?)
    }

    /// All pages as one. What begins or ends meanwhile may be missing or stand twice, but never twice in the result.
    fn all(&self, client: &Client) -> Result<Sessions, String> {
        let mut all: Sessions = client.get(&self.page(1, PAGE))?;
        for page in 2..PAGES {
            if all.sessions.len() >= all.filtered {
                break;
            }
            let next: Sessions = client.get(&self.page(page, PAGE))?;
            if next.sessions.is_empty() {
                break;
            }
            all.sessions.extend(next.sessions);
        }
        let mut seen = std::collections::HashSet::new();
        all.sessions.retain(|session| seen.insert(session.id));
        all.page_size = all.sessions.len();
        Ok(all)
    }

    fn page(&self, page: usize, page_size: usize) -> String {
        let sort = self.sort.and_then(name_of);
        query(
            PATH,
            &[
                ("page", Some(page.to_string())),
                ("page_size", Some(page_size.to_string())),
                ("sort", sort),
                ("descending", self.descending.then(|| "true".to_owned())),
                ("listener", self.listener.clone()),
                ("vhost", self.vhost.clone()),
                ("user", self.user.clone()),
                ("cluster", self.cluster.clone()),
                ("node", self.node.clone()),
                ("client", self.client.clone()),
                ("source", self.source.clone()),
                ("search", self.search.clone()),
            ],
        )
    }
}

impl CloseSession {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let path = format!("{PATH}/{}", self.id);
        let closing: Closing = self.admin.client()?.send(Method::DELETE, &path, &value!({}))?;
        if self.admin.json {
            return json(out, &closing);
        }
        Ok(writeln!(out, "session {}: told to close, with 320", self.id)?)
    }
}

/// The heads of [`row`].
pub(super) const HEAD: [&str; 13] = [
    "ID", "STATE", "CLIENT", "SOURCE", "USER", "VHOST", "LISTENER", "NODE", "CH", "PUB/s",
    "DELIV/s", "UNCONF", "AGE",
];

/// One session, as a row.
pub(super) fn row(session: &Session) -> [String; 13] {
    let client = session.client.as_deref().or(session.product.as_deref());
    [
        session.id.to_string(),
        session.state.clone(),
        short(client.unwrap_or("-"), 32),
        session.source.clone(),
        or_dash(session.user.as_deref()),
        or_dash(session.vhost.as_deref()),
        session.listener.clone(),
        node(session),
        count(session.channels),
        rate(session.rates.published),
        rate(session.rates.delivered),
        count(session.unconfirmed),
        age(session.age_s),
    ]
}

fn node(session: &Session) -> String {
    match (&session.cluster, &session.node) {
        (Some(cluster), Some(node)) => format!("{cluster}/{node}"),
        (Some(cluster), None) => cluster.clone(),
        _ => "-".to_owned(),
    }
}

fn table(sessions: &[Session]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(sessions.iter().map(row));
    aligned(&rows)
}

fn details(session: &Session) -> String {
    let Session { totals, rates, .. } = session;
    let messages = |of: f64, total: u64| format!("{}/s, {} in all", rate(of), count(total));
    let traffic =
        |of: f64, total: u64| format!("{}/s, {} in all", octets(of), octets(total as f64));
    let held = match (session.client_held, session.node_held) {
        (false, false) => "neither".to_owned(),
        (true, false) => "the client: the node takes no more".to_owned(),
        (false, true) => "the node: the client takes no more".to_owned(),
        (true, true) => "both: neither takes more".to_owned(),
    };
    let rows = [
        ["session", &session.id.to_string()],
        ["state", &session.state],
        ["client", &or_dash(session.client.as_deref())],
        ["product", &or_dash(session.product.as_deref())],
        ["version", &or_dash(session.version.as_deref())],
        ["platform", &or_dash(session.platform.as_deref())],
        ["source", &session.source],
        ["proxy", &or_dash(session.proxy.as_deref())],
        ["listener", &session.listener],
        ["protocol", &session.protocol],
        ["TLS", &or_dash(session.tls.as_deref())],
        ["cipher", &or_dash(session.cipher.as_deref())],
        ["server name", &or_dash(session.sni.as_deref())],
        ["common name", &or_dash(session.common_name.as_deref())],
        ["user", &or_dash(session.user.as_deref())],
        ["vhost", &or_dash(session.vhost.as_deref())],
        ["route", &or_dash(session.route.as_deref())],
        ["node", &node(session)],
        ["since", &session.since],
        ["age", &age(session.age_s)],
        ["handshake", &or_dash(session.handshake_ms.map(|ms| format!("{ms:.1} ms")))],
        ["waited", &format!("{:.1} ms", session.waited_ms)],
        ["heartbeat", &format!("{} s", session.heartbeat_s)],
        ["channels", &count(session.channels)],
        ["unconfirmed", &count(session.unconfirmed)],
        ["not read", &held],
        ["published", &messages(rates.published, totals.published)],
        ["delivered", &messages(rates.delivered, totals.delivered)],
        ["confirmed", &messages(rates.confirmed, totals.confirmed)],
        ["acknowledged", &messages(rates.acknowledged, totals.acknowledged)],
        ["returned", &messages(rates.returned, totals.returned)],
        ["from client", &traffic(rates.bytes_from_client, totals.bytes_from_client)],
        ["from node", &traffic(rates.bytes_from_node, totals.bytes_from_node)],
    ];
    aligned(&rows.map(|row| row.map(str::to_owned)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::view::status::{Rates, Traffic};

    pub(in super::super) fn sample(id: u64) -> Session {
        Session {
            id,
            state: "open".into(),
            listener: "amqp".into(),
            protocol: "amqp-0-9-1".into(),
            source: "10.0.0.7:4711".into(),
            proxy: None,
            tls: None,
            cipher: None,
            sni: None,
            common_name: None,
            client: Some("shop\x1b[31m".into()),
            product: Some("pika".into()),
            version: None,
            platform: None,
            user: Some("app".into()),
            vhost: Some("/".into()),
            route: None,
            cluster: Some("main".into()),
            node: Some("r1".into()),
            channels: 2,
            unconfirmed: 3,
            heartbeat_s: 60,
            since: "2026-11-21T12:00:00Z".into(),
            age_s: 75.0,
            handshake_ms: Some(4.25),
            waited_ms: 0.0,
            client_held: true,
            node_held: false,
            totals: Traffic::default(),
            rates: Rates { published: 12.34, ..Rates::default() },
        }
    }

    #[test]
    fn each_session_has_a_line_that_does_nothing_to_the_terminal() {
        let expected = "\
ID  STATE  CLIENT          SOURCE         USER  VHOST  LISTENER  NODE     CH  PUB/s  DELIV/s  UNCONF  AGE
17  open   shop\\u{1b}[31m  10.0.0.7:4711  app   /      amqp      main/r1  2   12.3   0        3       1m 15s
";
        assert_eq!(table(&[sample(17)]), expected);
    }

    #[test]
    fn one_session_tells_all_there_is() {
        let told = details(&sample(17));
        for line in [
            "session       17\n",
            "handshake     4.2 ms\n",
            "not read      the client: the node takes no more\n",
        ] {
            assert!(told.contains(line), "{told}");
        }
    }

    #[test]
    fn columns_are_named_as_in_the_api() {
        assert_eq!(sort_key("from-client"), Ok(SortKey::FromClient));
        assert_eq!(name_of(SortKey::FromClient).as_deref(), Some("from_client"));
        assert!(sort_key("size").is_err());
    }
}
