//! Routes, as the configuration writes them.

use super::list::Row;
use super::sums::{self, Sum};
use crate::admin::view::traffic::{Reject, Route};
use crate::config::model::{self, Conditions, RouteAction};
use crate::config::pattern::Pattern;

/// All of them, in the order in which they are asked.
pub(super) fn all(routes: &[model::Route], rows: &[Row]) -> Vec<Route> {
    let sums = sums::by(rows, Row::route);
    let sum = |position| sums.get(&position).copied().unwrap_or_default();
    (1..).zip(routes).map(|(position, route)| view(position, route, &sum(position))).collect()
}

/// What sessions call it: its name, else its position.
pub(super) fn label(position: usize, route: &model::Route) -> String {
    route.name.as_deref().map_or_else(|| position.to_string(), str::to_owned)
}

/// The same of the route at that position; one that a reload has just taken away goes by its position.
pub(super) fn label_at(position: usize, routes: &[model::Route]) -> String {
    let route = position.checked_sub(1).and_then(|at| routes.get(at));
    route.map_or_else(|| position.to_string(), |route| label(position, route))
}

fn view(position: usize, route: &model::Route, sum: &Sum) -> Route {
    let (cluster, rename_vhost, reject) = match &route.action {
        RouteAction::To { cluster, rename_vhost } => {
            (Some(cluster.to_string()), rename_vhost.as_deref().map(str::to_owned), None)
        }
        RouteAction::Reject { code, text } => {
            (None, None, Some(Reject { code: *code, text: text.to_string() }))
        }
    };
    Route {
        position,
        name: route.name.as_deref().map(str::to_owned),
        conditions: conditions(&route.conditions),
        cluster,
        rename_vhost,
        reject,
        sessions: sum.sessions,
        rates: sum.rates,
    }
}

/// Each in words, as the configuration has it.
pub(super) fn conditions(conditions: &Conditions) -> Vec<String> {
    let Conditions { vhost, user, listener, source, sni, common_name, client_property } =
        conditions;
    let equals = |key: &str, value: &dyn ToString| format!("{key} = {:?}", value.to_string());
    let pattern = |key, pattern: &Option<Pattern>| pattern.as_ref().map(|p| equals(key, p));
    let networks: Vec<String> = source.iter().map(ToString::to_string).collect();
    let properties =
        client_property.iter().map(|(key, p)| equals(&format!("client_property.{key}"), p));
    let texts = [
        listener.as_ref().map(|name| equals("listener", name)),
        (!networks.is_empty()).then(|| format!("source = {networks:?}")),
        pattern("sni", sni),
        pattern("common_name", common_name),
        pattern("vhost", vhost),
        pattern("user", user),
    ];
    texts.into_iter().flatten().chain(properties).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{ClusterName, ListenerName};

    #[test]
    fn conditions_read_as_in_the_configuration() {
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        let written = conditions(&Conditions {
            vhost: Some(pattern("team-*")),
            listener: Some(ListenerName("amqp".into())),
            source: vec!["10.0.0.0/8".parse().expect("a network")],
            client_property: vec![("product".to_owned(), pattern("pika*"))],
            ..Conditions::default()
        });
        let expected = [
            r#"listener = "amqp""#,
            r#"source = ["10.0.0.0/8"]"#,
            r#"vhost = "team-*""#,
            r#"client_property.product = "pika*""#,
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn a_route_without_a_name_goes_by_its_position() {
        let action = RouteAction::To { cluster: ClusterName("main".into()), rename_vhost: None };
        let route = |name: Option<&str>| model::Route {
            name: name.map(Into::into),
            conditions: Conditions::default(),
            action: action.clone(),
        };
        let all = all(&[route(Some("orders")), route(None)], &[]);
        assert_eq!(
            (all[1].position, &all[1].name, all[1].cluster.as_deref()),
            (2, &None, Some("main"))
        );
        assert_eq!(
            (label(1, &route(Some("orders"))), label(2, &route(None))),
            ("orders".into(), "2".into())
        );
    }
}
