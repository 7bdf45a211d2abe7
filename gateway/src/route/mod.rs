//! Routes: from the facts of a session to a decision, as early as the facts allow. Pure.

mod by_vhost;

use std::net::IpAddr;
use std::sync::Arc;

use amqp_codec::reply::{CloseReason, ReplyCode};
use amqp_codec::table::Table;

use crate::config::model::{
    ClusterName, Conditions, ListenerName, Model, Route, RouteAction, Strategy,
};
use crate::config::pattern::Pattern;

/// What is known of a session so far.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where it arrived.
    pub listener: &'a ListenerName,
    /// From where.
    pub source: IpAddr,
    /// The server name of its TLS handshake, if there was one.
    pub sni: Option<&'a str>,
    /// The common name of the client's certificate, if it showed one.
    pub common_name: Option<&'a str>,
    /// What start-ok said, once it is there.
    pub login: Option<Login<'a>>,
    /// The vhost, once connection.open is there.
    pub vhost: Option<&'a str>,
}

/// What start-ok says, as far as routes ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The user, if the mechanism names one.
    pub user: Option<&'a str>,
    /// Client properties.
    pub properties: &'a Table,
    /// Its `connection_name`, where that stands apart from the others.
    pub connection_name: Option<&'a str>,
}

impl Login<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        let apart = self.connection_name.filter(|_| key == "connection_name");
        apart.or_else(|| self.properties.text(key))
    }
}

/// A route, by its position among all, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// What the routes say to some facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This is where the session goes.
    To(Target),
    /// The session is refused.
    Rejected(CloseReason),
    /// The answer hangs on facts that are not there yet.
    NeedsMore,
}

/// Where a session goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The cluster.
    pub cluster: ClusterName,
    /// The vhost to open there in place of the client's.
    pub rename_vhost: Option<Arc<str>>,
}

/// The routes in their order, and each listener's default.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    defaults: Vec<(ListenerName, Option<ClusterName>)>,
    /// Clusters that choose a node by the vhost: nothing is decided there before it is known.
    by_vhost: Vec<ClusterName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    /// The fact is not there yet.
    Unknown,
}

impl RouteTable {
    /// The table of a configuration.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let by_vhost = model.clusters.iter().filter(|c| c.balance == Strategy::VhostHash);
        Self {
            routes: model.routes.clone(),
            defaults: model.listeners.iter().map(|l| (l.name.clone(), l.cluster.clone())).collect(),
            by_vhost: by_vhost.map(|cluster| cluster.name.clone()).collect(),
        }
    }

    /// The routes, in the order in which they are asked.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// First match wins. A route whose conditions hang on facts still to come delays the decision only if it would
    /// decide otherwise than what stands behind it; and whatever they decide, a cluster that goes by the vhost waits
    /// for that.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        match self.first_match(facts).0 {
            Decision::To(target)
                if facts.vhost.is_none() && self.by_vhost.contains(&target.cluster) =>
            {
                Decision::NeedsMore
            }
            decision => decision,
        }
    }

    /// For a session that never names a vhost (AMQP 1.0 as opaque bytes): where only facts that never come could
    /// decide, the listener's default does.
    #[must_use]
    pub fn decide_without_more(&self, facts: &Facts<'_>) -> Decision {
        self.settle(facts).0
    }

    /// The same, and the route that says so; without one it is the listener that names its cluster, or does not.
    #[must_use]
    pub fn settle(&self, facts: &Facts<'_>) -> (Decision, Option<RouteId>) {
        match self.first_match(facts) {
            (Decision::NeedsMore, _) => (self.default_decision(facts), None),
            decided => decided,
        }
    }

    /// Is there such a listener?
    #[must_use]
    pub fn has_listener(&self, listener: &ListenerName) -> bool {
        self.defaults.iter().any(|(name, _)| name == listener)
    }

    /// Does any route ask for client properties?
    #[must_use]
    pub fn asks_for_properties(&self) -> bool {
        self.routes.iter().any(|route| !route.conditions.client_property.is_empty())
    }

    /// Every cluster that a session on this listener may still reach.
    #[must_use]
    pub fn reachable(&self, listener: &ListenerName) -> Vec<&ClusterName> {
        let of_routes = self.routes.iter().filter_map(|route| match &route.action {
            RouteAction::To { cluster, .. } => {
                let condition = route.conditions.listener.as_ref();
                condition.is_none_or(|l| l == listener).then_some(cluster)
            }
            RouteAction::Reject { .. } => None,
        });
        let mut clusters: Vec<_> = of_routes.chain(self.default_of(listener)).collect();
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }

    fn first_match(&self, facts: &Facts<'_>) -> (Decision, Option<RouteId>) {
        let mut open: Vec<&RouteAction> = Vec::new();
        for (route, id) in self.routes.iter().zip(0..) {
            match holds(&route.conditions, facts) {
                Holds::No => {}
                Holds::Unknown => open.push(&route.action),
                Holds::Yes => return (agreed(&open, decision(&route.action)), Some(RouteId(id))),
            }
        }
        (agreed(&open, self.default_decision(facts)), None)
    }

    fn default_of(&self, listener: &ListenerName) -> Option<&ClusterName> {
        self.defaults.iter().find(|(name, _)| name == listener)?.1.as_ref()
    }

    fn default_decision(&self, facts: &Facts<'_>) -> Decision {
        self.default_at(facts.listener, facts.vhost)
    }

    fn default_at(&self, listener: &ListenerName, vhost: Option<&str>) -> Decision {
        match self.default_of(listener) {
            Some(cluster) => Decision::To(Target { cluster: cluster.clone(), rename_vhost: None }),
            None => Decision::Rejected(no_route(listener, vhost)),
        }
    }
}

fn no_route(listener: &ListenerName, vhost: Option<&str>) -> CloseReason {
    let cause = match vhost {
        Some(vhost) => format!("no route for vhost '{vhost}' on listener {listener}"),
        None => format!("no route on listener {listener}"),
    };
    CloseReason::new(ReplyCode::NOT_ALLOWED, &cause)
}

/// The decision, if all routes still open would come to the same.
fn agreed(open: &[&RouteAction], last: Decision) -> Decision {
    if open.iter().all(|action| decision(action) == last) { last } else { Decision::NeedsMore }
}

fn decision(action: &RouteAction) -> Decision {
    match action {
        RouteAction::To { cluster, rename_vhost } => {
            Decision::To(Target { cluster: cluster.clone(), rename_vhost: rename_vhost.clone() })
        }
        RouteAction::Reject { code, text } => {
            Decision::Rejected(CloseReason::new(ReplyCode(*code), text))
        }
    }
}

fn holds(conditions: &Conditions, facts: &Facts<'_>) -> Holds {
    let Conditions { vhost, user, listener, source, sni, common_name, client_property } =
        conditions;
    let known = |holds: bool| if holds { Holds::Yes } else { Holds::No };
    let of_listener = listener.as_ref().map(|name| known(name == facts.listener));
    let of_source = (!source.is_empty())
        .then(|| known(source.iter().any(|net| net.contains(&facts.source.to_canonical()))));
    let matches = |pattern: &Option<Pattern>, text: Option<&str>| {
        let pattern = pattern.as_ref()?;
        Some(known(text.is_some_and(|text| pattern.matches(text))))
    };
    let of_tls = [matches(sni, facts.sni), matches(common_name, facts.common_name)];
    let of_user = user.as_ref().map(|pattern| match facts.login {
        Some(login) => known(login.user.is_some_and(|user| pattern.matches(user))),
        None => Holds::Unknown,
    });
    let of_properties = client_property.iter().map(|(key, pattern)| match facts.login {
        Some(login) => known(login.text(key).is_some_and(|text| pattern.matches(text))),
        None => Holds::Unknown,
    });
    let of_vhost = vhost.as_ref().map(|pattern| match facts.vhost {
        Some(vhost) => known(pattern.matches(vhost)),
        None => Holds::Unknown,
    });
    let all = [of_listener, of_source, of_user, of_vhost].into_iter().chain(of_tls).flatten();
    all.chain(of_properties).fold(Holds::Yes, and)
}

fn and(a: Holds, b: Holds) -> Holds {
    match (a, b) {
        (Holds::No, _) | (_, Holds::No) => Holds::No,
        (Holds::Unknown, _) | (_, Holds::Unknown) => Holds::Unknown,
        (Holds::Yes, Holds::Yes) => Holds::Yes,
    }
}

#[cfg(test)]
mod tests;
