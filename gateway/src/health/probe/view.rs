//! How a node sees its cluster, by its management API.
//!
//! While one member of a cluster hangs, these questions hang on all others (until the broker's net_ticktime, about a
//! minute). So no answer here says nothing about the node that was asked.

use std::collections::HashSet;

use hyper::StatusCode;
use serde_json::Value;

use super::Wrong;
use super::http::{Api, Site};
use crate::config::model::Login;
use crate::health::partition::View;

const NODES: &str = "nodes?columns=name,running,partitions,mem_alarm,disk_free_alarm,being_drained";
const QUORUM_CRITICAL: &str = "health/checks/node-is-quorum-critical";

/// The questions and their connection.
#[derive(Debug)]
pub struct ViewProbe {
    api: Api,
}

/// What a node says about its cluster and its place there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Whom it sees.
    pub view: View,
    /// Memory and disk alarm of its own.
    pub alarms: (bool, bool),
    /// Is it being drained? `None` where the broker does not tell, as 3.10.
    pub being_drained: Option<bool>,
    /// Would queues lose their majority without it? `None` where the broker does not tell.
    pub quorum_critical: Option<bool>,
}

impl ViewProbe {
    /// Not connected yet.
    #[must_use]
    pub fn new(site: Site, login: Option<&Login>) -> Self {
        Self { api: Api::new(site, login) }
    }

    /// Asks the node that calls itself `broker`. `None` if it does not know itself by that name.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn look(&mut self, broker: &str) -> Result<Option<Seen>, Wrong> {
        let answer = self.api.get(NODES).await?;
        let Some(mut seen) = seen(broker, &answer.body) else { return Ok(None) };
        let critical = self.api.get(QUORUM_CRITICAL).await?;
        seen.quorum_critical = match critical.status {
            StatusCode::OK => Some(false),
            StatusCode::SERVICE_UNAVAILABLE => Some(true),
            _ => None,
        };
        Ok(Some(seen))
    }
}

fn seen(broker: &str, rows: &Value) -> Option<Seen> {
    let rows = rows.as_array()?;
    let own = rows.iter().find(|row| row["name"] == broker)?;
    let names = |rows: &mut dyn Iterator<Item = &Value>| -> HashSet<String> {
        rows.filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    };
    let mut running = rows.iter().filter(|row| row["running"] == true).map(|row| &row["name"]);
    Some(Seen {
        view: View {
            name: broker.to_owned(),
            running: names(&mut running),
            partitions: names(&mut own["partitions"].as_array().into_iter().flatten()),
        },
        alarms: (own["mem_alarm"] == true, own["disk_free_alarm"] == true),
        being_drained: own["being_drained"].as_bool(),
        quorum_critical: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As RabbitMQ 3.10 tells it on either side of a partition, but for `being_drained`, which later ones have.
    fn rows() -> Value {
        json!([
            { "name": "r1@h", "running": false, "partitions": ["r3@h"], "mem_alarm": false,
              "disk_free_alarm": false },
            { "name": "r3@h", "running": true, "partitions": ["r1@h"], "mem_alarm": true,
              "disk_free_alarm": false, "being_drained": true },
        ])
    }

    #[test]
    fn a_nodes_view_is_its_own_list_of_partitions_and_whom_it_sees_running() {
        let seen = seen("r3@h", &rows()).expect("its row");
        assert_eq!(seen.view.running, HashSet::from(["r3@h".to_owned()]));
        assert_eq!(seen.view.partitions, HashSet::from(["r1@h".to_owned()]));
        assert_eq!((seen.alarms, seen.being_drained), ((true, false), Some(true)));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(seen("r1@h", &rows()).expect("its row").being_drained, None);
        assert_eq!(seen("r9@h", &rows()), None);
        assert_eq!(seen("r1@h", &json!({ "error": "timeout" })), None);
    }
}
