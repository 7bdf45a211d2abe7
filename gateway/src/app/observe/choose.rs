//! Which sessions a query chooses, in which order, and which of them are on the page.

use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

use super::list::Row;
use crate::admin::operator::Refusal;
use crate::admin::view::session::{SessionQuery, SortKey};

/// Sessions a page, unless the query says otherwise.
const PAGE_SIZE: usize = 100;
/// The most that a query may say.
const MOST: usize = 500;

/// What the texts and numbers of a session have to be.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    listener: Option<&'a str>,
    vhost: Option<&'a str>,
    user: Option<&'a str>,
    cluster: Option<&'a str>,
    node: Option<(&'a str, &'a str)>,
    client: Option<String>,
    source: Option<IpNet>,
    search: Option<String>,
}

/// Where a page begins, and in which order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    pub(super) page: usize,
    pub(super) size: usize,
    sort: SortKey,
    descending: bool,
}

/// The rows of a page, by their place in the list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) rows: Vec<usize>,
    /// How many fit the filter.
    pub(super) filtered: usize,
}

impl<'a> Filter<'a> {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(query: &'a SessionQuery) -> Result<Self, Refusal> {
        let folded = |text: &Option<String>| {
            text.as_deref().filter(|text| !text.is_empty()).map(str::to_lowercase)
        };
        let node = query.node.as_deref().map(|node| {
            node.split_once('/')
                .ok_or_else(|| invalid(format!("node = {node}: it is CLUSTER/NODE.")))
        });
        Ok(Self {
            listener: query.listener.as_deref(),
            vhost: query.vhost.as_deref(),
            user: query.user.as_deref(),
            cluster: query.cluster.as_deref(),
            node: node.transpose()?,
            client: folded(&query.client),
            source: query.source.as_deref().map(network).transpose()?,
            search: folded(&query.search),
        })
    }

    /// Does it choose by nothing?
    pub(super) fn is_empty(&self) -> bool {
        let Self { listener, vhost, user, cluster, node, client, source, search } = self;
        [listener, vhost, user, cluster].iter().all(|text| text.is_none())
            && node.is_none()
            && client.is_none()
            && source.is_none()
            && search.is_none()
    }

    pub(super) fn chooses(&self, row: &Row) -> bool {
        let is = |wanted: Option<&str>, text: Option<&str>| wanted.is_none() || wanted == text;
        is(self.listener, Some(row.listener()))
            && is(self.vhost, row.vhost())
            && is(self.user, row.user())
            && is(self.cluster, row.node().map(|(cluster, _)| cluster))
            && (self.node.is_none() || self.node == row.node())
            && self.client.as_deref().is_none_or(|part| is_called(row, part))
            && self.source.is_none_or(|net| net.contains(&source(row)))
            && self.search.as_deref().is_none_or(|part| says(row, part))
    }
}

impl Paging {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no such page.
    pub(super) fn read(query: &SessionQuery) -> Result<Self, Refusal> {
        let (page, size) = (query.page.unwrap_or(1), query.page_size.unwrap_or(PAGE_SIZE));
        if page == 0 {
            return Err(invalid("page = 0: pages are counted from 1.".to_owned()));
        }
        if !(1..=MOST).contains(&size) {
            return Err(invalid(format!("page_size = {size}: it is 1 to {MOST}.")));
        }
        let (sort, descending) =
            (query.sort.unwrap_or_default(), query.descending.unwrap_or(false));
        Ok(Self { page, size, sort, descending })
    }
}

/// The rows of a page. Only as many are brought in order as are shown, and those before them.
pub(super) fn page(rows: &[Row], filter: &Filter<'_>, paging: Paging, now: Instant) -> Page {
    let chosen =
        rows.iter().enumerate().filter(|(_, row)| filter.is_empty() || filter.chooses(row));
    let mut keys: Vec<(Key<'_>, usize)> =
        chosen.map(|(at, row)| (key(row, paging.sort, now), at)).collect();
    let filtered = keys.len();
    let from = (paging.page - 1).saturating_mul(paging.size).min(filtered);
    let to = from.saturating_add(paging.size).min(filtered);
    let order = |a: &(Key<'_>, usize), b: &(Key<'_>, usize)| {
        let by_key = a.0.cmp(&b.0);
        // Equal ones keep their order, so that nothing jumps about from page to page.
        (if paging.descending { by_key.reverse() } else { by_key }).then(a.1.cmp(&b.1))
    };
    if to < filtered {
        keys.select_nth_unstable_by(to, order);
    }
    let shown = &mut keys[..to];
    shown.sort_unstable_by(order);
    Page { rows: shown[from..].iter().map(|(_, at)| *at).collect(), filtered }
}

/// What rows are sorted by. All keys of one page are of one kind.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Number(u64),
    /// What passes a second, and what has passed at all.
    Flow(u64, u64),
    Text(Option<&'a str>),
    Pair(Option<(&'a str, &'a str)>),
    Address(IpAddr, u16),
}

fn key(row: &Row, sort: SortKey, now: Instant) -> Key<'_> {
    let (rates, totals) = (&row.rates, &row.totals);
    // Not negative and no fraction that matters: a thousandth of a message.
    let flow = |rate: f64, total| Key::Flow((rate * 1000.0) as u64, total);
    match sort {
        SortKey::Id => Key::Number(row.id.0),
        SortKey::Client => Key::Text(row.client()),
        SortKey::Product => {
            Key::Text(row.facts().and_then(|facts| facts.software.product.as_deref()))
        }
        SortKey::Source => {
            let client = row.session.arrival.client;
            Key::Address(client.ip().to_canonical(), client.port())
        }
        SortKey::User => Key::Text(row.user()),
        SortKey::Vhost => Key::Text(row.vhost()),
        SortKey::Listener => Key::Text(Some(row.listener())),
        SortKey::Node => Key::Pair(row.node()),
        SortKey::Channels => Key::Number(row.channels),
        SortKey::Published => flow(rates.published, totals.published),
        SortKey::Delivered => flow(rates.delivered, totals.delivered),
        SortKey::FromClient => flow(rates.bytes_from_client, totals.bytes_from_client),
        SortKey::FromNode => flow(rates.bytes_from_node, totals.bytes_from_node),
        SortKey::Unconfirmed => Key::Number(row.unconfirmed),
        SortKey::Age => {
            let age = now.saturating_duration_since(row.session.arrival.accepted);
            Key::Number(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX))
        }
        SortKey::State => Key::Number(row.state as u64),
    }
}

fn source(row: &Row) -> IpAddr {
    row.session.arrival.client.ip().to_canonical()
}

fn is_called(row: &Row, part: &str) -> bool {
    let Some(facts) = row.facts() else { return false };
    let names = [&facts.software.connection_name, &facts.software.product];
    names.into_iter().flatten().any(|name| contains(name, part))
}

/// Does any text of the row contain it?
fn says(row: &Row, part: &str) -> bool {
    let arrival = &row.session.arrival;
    let of_arrival = [Some(row.listener()), arrival.sni.as_deref(), arrival.common_name()];
    let of_facts = row.facts().into_iter().flat_map(|facts| {
        let software = &facts.software;
        [
            software.connection_name.as_deref(),
            software.product.as_deref(),
            software.version.as_deref(),
            software.platform.as_deref(),
            facts.user.as_deref(),
            facts.vhost.as_deref(),
            Some(&*facts.node.cluster.0),
            Some(&*facts.node.name),
        ]
    });
    let mut texts = of_arrival.into_iter().chain(of_facts).flatten();
    texts.any(|text| contains(text, part))
        || row.state.name() == part
        || contains(&arrival.client.to_string(), part)
}

/// Does `text` contain `part`, which is in lower case, whatever the case of `text` is?
fn contains(text: &str, part: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(part);
    }
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

fn network(text: &str) -> Result<IpNet, Refusal> {
    let address = |address: IpAddr| IpNet::from(address.to_canonical());
    let read = text.parse::<IpNet>().ok().or_else(|| text.parse().ok().map(address));
    read.ok_or_else(|| {
        invalid(format!("source = {text}: it is an address, or a network such as 10.0.0.0/8."))
    })
}

fn invalid(text: String) -> Refusal {
    Refusal::Invalid("The query cannot be read.".to_owned(), vec![text])
}

#[cfg(test)]
mod tests;
