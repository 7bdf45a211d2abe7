//! Looks up what the name of a node leads to: in the hosts file, then in DNS.
//!
//! Nothing is cached and nothing is read once for all: each lookup goes by the files as they are now.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType, rdata::SRV};
use hickory_resolver::{Hosts, TokioResolver};

use super::target::Target;
use crate::config::model::NodeAddress;

/// How long all questions about one name may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a lookup came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What was found, each address once, in a fixed order.
    pub targets: Vec<Target>,
    /// Why that may not be all. Never absent when nothing was found.
    pub trouble: Option<String>,
}

/// Whom to ask. Its clones ask the same.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// DNS servers; empty = those of the system.
    name_servers: Arc<ArcSwap<Vec<SocketAddr>>>,
}

impl Lookup {
    /// Asks these DNS servers; none = those of the system.
    #[must_use]
    pub fn new(name_servers: Vec<SocketAddr>) -> Self {
        Self { name_servers: Arc::new(ArcSwap::from_pointee(name_servers)) }
    }

    /// Asks these from now on.
    pub fn ask(&self, name_servers: Vec<SocketAddr>) {
        self.name_servers.store(Arc::new(name_servers));
    }

    /// Looks up what an address leads to.
    pub async fn find(&self, address: &NodeAddress) -> Answer {
        if let Some(literal) = address.literal() {
            return Answer { targets: vec![Target::at(literal)], trouble: None };
        }
        let asking = async {
            let asked = Asked { hosts: Hosts::from_system().ok(), dns: self.resolver()? };
            Ok(match address.port {
                Some(port) => asked.host(&address.host, port).await,
                None => asked.service(&address.host).await,
            })
        };
        let found = tokio::time::timeout(PATIENCE, asking).await;
        let answer = found.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
        answer.unwrap_or_else(|cause| Answer { targets: Vec::new(), trouble: Some(cause) })
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let name_servers = self.name_servers.load();
        let mut builder = if name_servers.is_empty() {
            // Without name servers in the system the hosts file is all there is.
            TokioResolver::builder_tokio().unwrap_or_else(|_| {
                let none = ResolverConfig::from_name_servers(Vec::new());
                TokioResolver::builder_with_config(none, TokioRuntimeProvider::default())
            })
        } else {
            let servers = name_servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map_err(|error| format!("DNS: {error}"))
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}

/// Who answers one lookup.
struct Asked {
    hosts: Option<Hosts>,
    dns: TokioResolver,
}

impl Asked {
    /// All addresses of a host.
    async fn host(&self, host: &str, port: u16) -> Answer {
        let (addresses, trouble) = self.addresses(host).await;
        let targets = addresses.into_iter().map(|ip| Target::at(SocketAddr::new(ip, port)));
        Answer { targets: targets.collect(), trouble }
    }

    /// All addresses of all hosts of a service.
    async fn service(&self, name: &str) -> Answer {
        let records = match self.dns.srv_lookup(name).await {
            Ok(found) => services(found.answers().iter().map(|record| &record.data)),
            Err(error) => {
                return Answer { targets: Vec::new(), trouble: Some(explain(name, &error)) };
            }
        };
        if records.is_empty() {
            let trouble = Some(format!("{name} has no SRV records"));
            return Answer { targets: Vec::new(), trouble };
        }
        let hosts = join_all(records.iter().map(async |record| {
            let host = record.target.to_utf8();
            let host = host.trim_end_matches('.').to_owned();
            let (addresses, trouble) = self.addresses(&host).await;
            (host, addresses, trouble)
        }))
        .await;
        gather(&records, hosts)
    }

    /// The hosts file has the first word, as everywhere in the system.
    async fn addresses(&self, host: &str) -> (Vec<IpAddr>, Option<String>) {
        let local = self.local(host);
        if !local.is_empty() {
            return (local, None);
        }
        // A dot at the end would keep the search list of the system out.
        let (v4, v6) = tokio::join!(self.dns.ipv4_lookup(host), self.dns.ipv6_lookup(host));
        let (mut found, mut trouble) = (Vec::new(), None);
        for family in [v4, v6] {
            match family {
                Ok(family) => {
                    found.extend(family.answers().iter().filter_map(|r| r.data.ip_addr()));
                }
                // Most names have addresses of one family only.
                Err(error) if error.is_no_records_found() => {}
                Err(error) => trouble = Some(explain(host, &error)),
            }
        }
        found.sort_unstable();
        found.dedup();
        if found.is_empty() && trouble.is_none() {
            trouble = Some(format!("{host} has no address"));
        }
        (found, trouble)
    }

    fn local(&self, host: &str) -> Vec<IpAddr> {
        let (Some(hosts), Ok(name)) = (&self.hosts, Name::from_utf8(host.to_lowercase())) else {
            return Vec::new();
        };
        let of_type = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of_type);
        let mut found: Vec<_> = found
            .flat_map(|f| f.answers().iter().filter_map(|r| r.data.ip_addr()).collect::<Vec<_>>())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn explain(name: &str, error: &NetError) -> String {
    match error.is_no_records_found() {
        true => format!("{name} does not exist in DNS"),
        false => format!("{name}: {error}"),
    }
}

/// The SRV records of an answer that offer the service; a root as target means that it is not offered.
fn services<'a>(data: impl Iterator<Item = &'a RData>) -> Vec<SRV> {
    let services = data.filter_map(|data| match data {
        RData::SRV(srv) if !srv.target.is_root() => Some(srv.clone()),
        _ => None,
    });
    services.collect()
}

/// Puts the addresses of all hosts of a service together.
fn gather(records: &[SRV], hosts: Vec<(String, Vec<IpAddr>, Option<String>)>) -> Answer {
    let first = records.iter().map(|srv| srv.priority).min().unwrap_or_default();
    let divisor = records.iter().map(|srv| srv.weight).fold(0, gcd).max(1);
    let mut targets = BTreeMap::new();
    let mut answer = Answer::default();
    for (srv, (host, addresses, trouble)) in records.iter().zip(hosts) {
        answer.trouble = answer.trouble.or(trouble);
        let single = addresses.len() == 1;
        for address in addresses.into_iter().map(|ip| SocketAddr::new(ip, srv.port)) {
            let target = Target {
                address,
                host: single.then(|| format!("{host}:{}", srv.port)),
                // A weight of 0 asks for a very small share, but for one.
                weight: NonZeroU32::new(u32::from(srv.weight / divisor)).unwrap_or(NonZeroU32::MIN),
                later: srv.priority > first,
            };
            targets.entry(address).or_insert(target);
        }
    }
    answer.targets = targets.into_values().collect();
    answer
}

/// So that equal weights, whatever they are, count as 1 each.
fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16) -> SRV {
        SRV::new(priority, weight, port, Name::from_ascii("r.internal.").expect("a name"))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn brief(answer: &Answer) -> Vec<String> {
        let targets = answer.targets.iter();
        targets.map(|t| format!("{} {:?} {} {}", t.address, t.host, t.weight, t.later)).collect()
    }

    #[test]
    fn srv_records_give_port_share_and_who_comes_first() {
        let records = [srv(10, 60, 5672), srv(10, 20, 5673), srv(20, 0, 5672)];
        let hosts = vec![
            ("a".to_owned(), vec![ip("10.0.0.1")], None),
            ("b".to_owned(), vec![ip("10.0.0.2"), ip("fd00::2")], None),
            ("c".to_owned(), vec![ip("10.0.0.3")], None),
        ];
        let answer = gather(&records, hosts);
        let expected = [
            r#"10.0.0.1:5672 Some("a:5672") 3 false"#,
            "10.0.0.2:5673 None 1 false",
            r#"10.0.0.3:5672 Some("c:5672") 1 true"#,
            "[fd00::2]:5673 None 1 false",
        ];
        assert_eq!(brief(&answer), expected);
        assert_eq!(answer.trouble, None);
    }

    #[test]
    fn equal_weights_count_as_one_and_a_host_that_is_missing_is_told() {
        let records = [srv(0, 50, 5672), srv(0, 50, 5672)];
        let hosts = vec![
            ("a".to_owned(), vec![ip("10.0.0.1")], None),
            ("b".to_owned(), Vec::new(), Some("b has no address".to_owned())),
        ];
        let answer = gather(&records, hosts);
        assert_eq!(brief(&answer), [r#"10.0.0.1:5672 Some("a:5672") 1 false"#]);
        assert_eq!(answer.trouble.as_deref(), Some("b has no address"));
    }

    #[test]
    fn a_service_that_is_declared_absent_has_no_targets() {
        let absent = SRV::new(0, 0, 0, Name::root());
        assert_eq!(services([RData::SRV(absent)].iter()), []);
    }

    #[tokio::test]
    async fn a_name_of_the_hosts_file_needs_no_dns() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let lookup = Lookup::new(vec![silent.local_addr().expect("bound")]);
        let address = NodeAddress { host: "LOCALHOST".to_owned(), port: Some(5672) };
        let answer = lookup.find(&address).await;
        let local = Target::at(([127, 0, 0, 1], 5672).into());
        assert!(answer.targets.contains(&local) && answer.trouble.is_none(), "{answer:?}");
    }
}
