//! Which way a session went, and whether it would go there again: routes may be others by now.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use amqp_codec::handshake::server::Hello;
use amqp_codec::table::Table;

use super::registry::{Session, SessionFacts, Software};
use crate::route::{Decision, Facts, Login, RouteId, RouteTable};

/// Most bytes that are kept of a client's properties.
const MOST: usize = 4096;

/// Which way a session went, and what routes ask for beside what else is known of it.
#[derive(Debug, Default)]
pub struct Routed {
    /// The vhost that was opened in place of the client's.
    rename_vhost: Option<Arc<str>>,
    properties: Properties,
    /// Did the client name its user? Routes never see the one that its certificate stands for.
    named_user: bool,
    /// The revision of the configuration that it was held against last, and the position of its route from 1: 32 bits each.
    by: AtomicU64,
}

/// What is kept of the client properties.
#[derive(Debug, Default)]
enum Properties {
    /// Nothing, for nobody has read them: AMQP 1.0, or another protocol.
    #[default]
    Unread,
    /// Nothing, for they are too large.
    TooLarge,
    /// All texts but those of [`Software`].
    Texts(Arc<Table>),
}

impl Routed {
    /// A session whose client properties were read.
    pub(super) fn new(
        rename_vhost: Option<Arc<str>>,
        hello: Option<&Hello>,
        all: &Keepsakes,
    ) -> Self {
        let properties = match hello.map(|hello| all.keep(&hello.properties)) {
            None => Properties::Unread,
            Some(None) => Properties::TooLarge,
            Some(Some(texts)) => Properties::Texts(texts),
        };
        let named_user = hello.is_some_and(|hello| hello.user.is_some());
        Self { rename_vhost, properties, named_user, by: AtomicU64::new(0) }
    }

    /// The route that leads it by the configuration in force; `None` if its listener does.
    #[must_use]
    pub fn route(&self) -> Option<RouteId> {
        let position = self.by.load(Ordering::Relaxed) as u32;
        position.checked_sub(1).map(RouteId)
    }

    fn note(&self, revision: u64, route: Option<RouteId>) {
        let position = route.map_or(0, |RouteId(position)| position.saturating_add(1));
        self.by.store(revision << 32 | u64::from(position), Ordering::Relaxed);
    }

    /// The routes of a revision say that of it.
    fn hold(&self, revision: u64, way: Way) {
        match way {
            Way::Same(route) => self.note(revision, route),
            Way::Another | Way::Unknown => self.note(revision, self.route()),
        }
    }

    fn was_held_against(&self, revision: u64) -> bool {
        self.by.load(Ordering::Relaxed) >> 32 == revision & u64::from(u32::MAX)
    }
}

/// What becomes of a session by some routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It goes where it went, by this route or that of its listener.
    Same(Option<RouteId>),
    /// It would go elsewhere, or nowhere.
    Another,
    /// There is no telling.
    Unknown,
}

impl Session {
    /// Is it to be held against the routes of this revision still, if it is open?
    #[must_use]
    pub fn is_unrouted(&self, revision: u64) -> bool {
        self.facts().is_some_and(|facts| !facts.routed.was_held_against(revision))
    }

    /// Holds it against the routes of a revision. Does its way lead elsewhere?
    pub fn hold_against(&self, routes: &RouteTable, revision: u64) -> bool {
        let Some(facts) = self.facts() else { return false };
        let way = self.way(routes);
        facts.routed.hold(revision, way);
        way == Way::Another
    }

    /// It is open: notes its route. If that leads elsewhere by now, whoever looks for such sessions finds it.
    pub(super) fn note_route(&self, routes: &RouteTable, revision: u64) {
        let Some(facts) = self.facts() else { return };
        let way = self.way(routes);
        if way != Way::Another {
            facts.routed.hold(revision, way);
        }
    }

    /// What these routes say to it, once it is open. Whether there is its listener is not asked.
    #[must_use]
    pub fn way(&self, routes: &RouteTable) -> Way {
        let Some(facts) = self.facts() else { return Way::Unknown };
        let (nothing, routed) = (Table::default(), &facts.routed);
        let properties = match &routed.properties {
            Properties::TooLarge if routes.asks_for_properties() => return Way::Unknown,
            Properties::TooLarge => Some(&nothing),
            Properties::Texts(texts) => Some(&**texts),
            Properties::Unread => None,
        };
        if !routes.has_listener(&self.arrival.listener) {
            return Way::Unknown;
        }
        // A name that is too long to be kept whole there is among the properties.
        let name = facts.software.connection_name.as_deref();
        let login = properties.map(|properties| Login {
            user: facts.user.as_deref().filter(|_| routed.named_user),
            properties,
            connection_name: name.filter(|_| properties.text("connection_name").is_none()),
        });
        let asked = Facts {
            listener: &self.arrival.listener,
            source: self.arrival.client.ip(),
            sni: self.arrival.sni.as_deref(),
            common_name: self.arrival.common_name(),
            login,
            vhost: facts.vhost.as_deref(),
        };
        match routes.settle(&asked) {
            (Decision::To(target), route) if facts.went_to(&target) => Way::Same(route),
            _ => Way::Another,
        }
    }
}

impl SessionFacts {
    fn went_to(&self, target: &crate::route::Target) -> bool {
        self.node.cluster == target.cluster && self.routed.rename_vhost == target.rename_vhost
    }
}

/// Client properties, each once: most clients of a gateway are of a few programs.
#[derive(Debug, Default)]
pub(super) struct Keepsakes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    tables: HashSet<Arc<Table>>,
    /// When there are so many, those that no session has any more are thrown away.
    sweep_at: usize,
}

impl Keepsakes {
    /// The texts of a client's properties, but for its name, which is kept with the session. `None` if they are too large.
    fn keep(&self, properties: &Table) -> Option<Arc<Table>> {
        let name = properties.text("connection_name");
        let apart = name.is_some_and(|name| name.len() <= Software::LONGEST);
        let texts = properties.texts(apart.then_some("connection_name"), MOST)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.tables.get(&texts) {
            return Some(known.clone());
        }
        if kept.tables.len() >= kept.sweep_at {
            kept.tables.retain(|table| Arc::strong_count(table) > 1);
            kept.sweep_at = kept.tables.len() * 2 + 64;
        }
        let texts = Arc::new(texts);
        kept.tables.insert(texts.clone());
        Some(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::Node;
    use crate::config::model::{Conditions, ListenerName, Model, Route, RouteAction, samples};
    use crate::session::registry::SessionId;
    use crate::stream::arrival::Arrival;

    fn hello(texts: &[(&str, &str)]) -> Hello {
        let mut content = Vec::new();
        for (key, text) in texts {
            content.push(key.len() as u8);
            content.extend(key.as_bytes());
            content.push(b'S');
            content.extend((text.len() as u32).to_be_bytes());
            content.extend(text.as_bytes());
        }
        let bytes = [&(content.len() as u32).to_be_bytes(), content.as_slice()].concat();
        let (properties, _) = Table::read(&bytes).expect("a table");
        Hello { mechanism: "PLAIN".to_owned(), user: Some("app".to_owned()), properties }
    }

    fn session(hello: Option<&Hello>, all: &Keepsakes) -> Session {
        let arrival = Arrival::new(ListenerName("amqp".into()), ([127, 0, 0, 1], 4000).into());
        let session = Session::new(SessionId(1), arrival);
        session.opened(Box::new(SessionFacts {
            node: Arc::new(Node::sample("main", &samples::node("r1", 5672))),
            user: hello.map(|hello| hello.user.as_deref().unwrap_or("of-certificate").into()),
            vhost: hello.map(|_| "orders".into()),
            software: hello.map(Software::of).unwrap_or_default(),
            handshake: Default::default(),
            routed: Routed::new(None, hello, all),
        }));
        session
    }

    /// Whoever has such a property goes to `blue`, everybody else to `main`.
    fn routes(key: &str, pattern: &str) -> RouteTable {
        let client_property = vec![(key.to_owned(), samples::pattern(pattern))];
        routes_of(Conditions { client_property, ..Conditions::default() })
    }

    /// Whoever fulfils these goes to `blue`, everybody else to `main`.
    fn routes_of(conditions: Conditions) -> RouteTable {
        let name = crate::config::model::ClusterName("blue".into());
        let action = RouteAction::To { cluster: name, rename_vhost: None };
        RouteTable::new(&Model {
            listeners: vec![samples::listener("amqp", Some("main"))],
            routes: vec![Route { name: None, conditions, action }],
            ..samples::model(Vec::new())
        })
    }

    #[test]
    fn whatever_routes_ask_for_of_a_client_is_known_later_and_kept_once_for_all_that_have_it() {
        let all = Keepsakes::default();
        let sessions = ["one", "two"].map(|name| {
            let said = [("product", "pika"), ("connection_name", name), ("team", "blue")];
            session(Some(&hello(&said)), &all)
        });
        for (key, pattern, way) in [
            ("product", "pika", Way::Another),
            ("team", "b*", Way::Another),
            ("connection_name", "one", Way::Another),
            ("connection_name", "two", Way::Same(None)),
            ("none", "*", Way::Same(None)),
        ] {
            assert_eq!(sessions[0].way(&routes(key, pattern)), way, "{key}");
        }
        assert_eq!(all.0.lock().expect("whole").tables.len(), 1);
        println!("a session keeps {} bytes more", size_of::<Routed>());
    }

    #[test]
    fn a_user_that_only_the_certificate_names_leads_nowhere_later_as_at_first() {
        let pattern = samples::pattern("*");
        let conditions = Conditions { user: Some(pattern), ..Conditions::default() };
        let routes = routes_of(conditions);
        let mut said = hello(&[]);
        assert_eq!(session(Some(&said), &Keepsakes::default()).way(&routes), Way::Another);
        (said.mechanism, said.user) = ("EXTERNAL".to_owned(), None);
        let session = session(Some(&said), &Keepsakes::default());
        assert!(session.facts().is_some_and(|facts| facts.user.is_some()));
        assert_eq!(session.way(&routes), Way::Same(None));
    }

    #[test]
    fn a_route_by_a_long_connection_name_leads_there_later_as_at_first() {
        let name = "n".repeat(Software::LONGEST + 44);
        let session = session(Some(&hello(&[("connection_name", &name)])), &Keepsakes::default());
        assert_eq!(session.way(&routes("connection_name", &name)), Way::Another);
        let cut = &name[..Software::LONGEST];
        assert_eq!(session.way(&routes("connection_name", cut)), Way::Same(None));
    }

    #[test]
    fn of_a_client_that_said_too_much_there_is_no_telling_and_it_stays() {
        let all = Keepsakes::default();
        let much = "x".repeat(MOST);
        let session = session(Some(&hello(&[("much", &much)])), &all);
        assert_eq!(session.way(&routes("product", "pika")), Way::Unknown);
        assert!(!session.hold_against(&routes("product", "pika"), 2) && !session.is_unrouted(2));
    }

    #[test]
    fn what_opens_notes_its_route_unless_that_leads_elsewhere_by_now() {
        let session = session(Some(&hello(&[("team", "blue")])), &Keepsakes::default());
        session.note_route(&routes("team", "blue"), 2);
        assert!(session.is_unrouted(2));
        session.note_route(&routes("team", "red"), 2);
        assert!(!session.is_unrouted(2) && session.is_unrouted(3));
    }

    #[test]
    fn a_session_whose_bytes_are_not_read_goes_where_its_listener_leads() {
        let session = session(None, &Keepsakes::default());
        assert_eq!(session.way(&routes("product", "pika")), Way::Same(None));
    }

    #[test]
    fn properties_that_no_session_has_any_more_are_thrown_away() {
        let all = Keepsakes::default();
        for number in 0..10_000 {
            drop(all.keep(&hello(&[("team", &number.to_string())]).properties));
        }
        assert!(all.0.lock().expect("whole").tables.len() < 200);
    }
}
