//! Where a vhost leads to, for whoever knows no more of a session.

use super::{Decision, Holds, RouteTable, agreed, and, decision};
use crate::config::model::{Conditions, ListenerName};

impl RouteTable {
    /// Where sessions of these listeners go that open `vhost`, if that alone decides it; else [`Decision::NeedsMore`].
    #[must_use]
    pub fn of_vhost<'a>(
        &self,
        listeners: impl IntoIterator<Item = &'a ListenerName>,
        vhost: &str,
    ) -> Decision {
        let decide = |listener| self.of_vhost_at(listener, vhost);
        let mut all = listeners.into_iter().map(decide);
        let Some(first) = all.next() else { return Decision::NeedsMore };
        if all.all(|other| leads_as(&other, &first)) { first } else { Decision::NeedsMore }
    }

    fn of_vhost_at(&self, listener: &ListenerName, vhost: &str) -> Decision {
        let mut open = Vec::new();
        for route in &self.routes {
            match holds(&route.conditions, listener, vhost) {
                Holds::No => {}
                Holds::Unknown => open.push(&route.action),
                Holds::Yes => return agreed(&open, decision(&route.action)),
            }
        }
        agreed(&open, self.default_at(listener, Some(vhost)))
    }
}

/// A refusal is one, whatever its text is.
fn leads_as(a: &Decision, b: &Decision) -> bool {
    match (a, b) {
        (Decision::Rejected(_), Decision::Rejected(_)) => true,
        (Decision::To(a), Decision::To(b)) => a.cluster == b.cluster,
        _ => a == b,
    }
}

fn holds(conditions: &Conditions, at: &ListenerName, opened: &str) -> Holds {
    let Conditions { vhost, user, listener, source, sni, common_name, client_property } =
        conditions;
    let known = |holds: bool| if holds { Holds::Yes } else { Holds::No };
    let told = [
        listener.as_ref().map_or(Holds::Yes, |name| known(name == at)),
        vhost.as_ref().map_or(Holds::Yes, |pattern| known(pattern.matches(opened))),
    ];
    let of_client = user.is_some()
        || sni.is_some()
        || common_name.is_some()
        || !source.is_empty()
        || !client_property.is_empty();
    told.into_iter().fold(if of_client { Holds::Unknown } else { Holds::Yes }, and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{ClusterName, Route, RouteAction};
    use crate::config::pattern::Pattern;

    fn to(cluster: &str, conditions: Conditions) -> Route {
        let cluster = ClusterName(cluster.into());
        Route { name: None, conditions, action: RouteAction::To { cluster, rename_vhost: None } }
    }

    fn vhost(pattern: &str) -> Conditions {
        let vhost = Some(Pattern::parse(pattern).expect("a pattern"));
        Conditions { vhost, ..Conditions::default() }
    }

    #[test]
    fn a_vhost_that_decides_alone_leads_somewhere_and_any_other_depends() {
        let user = Some(Pattern::parse("guest").expect("a pattern"));
        let [plain, secure] = ["plain", "secure"].map(|name| ListenerName(name.into()));
        let of_user = Conditions { user, ..vhost("mixed") };
        let of_listener = Conditions { listener: Some(plain.clone()), ..vhost("here") };
        let table = RouteTable {
            routes: vec![
                to("one", vhost("team-*")),
                to("one", of_user),
                to("one", of_listener),
                to("two", vhost("{mixed,here}")),
            ],
            defaults: vec![
                (plain.clone(), Some(ClusterName("rest".into()))),
                (secure.clone(), None),
            ],
            by_vhost: Vec::new(),
        };
        let both = [&plain, &secure];
        let led = |listeners: &[&ListenerName], vhost| match table
            .of_vhost(listeners.iter().copied(), vhost)
        {
            Decision::To(target) => target.cluster.to_string(),
            Decision::Rejected(_) => "rejected".to_owned(),
            Decision::NeedsMore => "depends".to_owned(),
        };
        assert_eq!(led(&both, "team-a"), "one");
        assert_eq!(led(&both, "mixed"), "depends", "on the user");
        assert_eq!(led(&both, "here"), "depends", "on the listener");
        assert_eq!(led(&[&secure], "here"), "two");
        assert_eq!(led(&both, "x"), "depends", "on the listener's default");
        assert_eq!((led(&[&plain], "x"), led(&[&secure], "x")), ("rest".into(), "rejected".into()));
    }
}
