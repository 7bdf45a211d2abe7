use std::time::Duration;

use super::*;
use crate::app::observe::list::List;
use crate::app::observe::samples::{crowd, registry};
use crate::session::registry::SessionId;

fn ids(rows: &[Row], page: &Page) -> Vec<u64> {
    page.rows.iter().map(|at| rows[*at].session.id.0).collect()
}

fn ask(rows: &[Row], query: &SessionQuery) -> (Vec<u64>, usize) {
    let filter = Filter::read(query).expect("a filter");
    let page = page(rows, &filter, Paging::read(query).expect("a page"), Instant::now());
    (ids(rows, &page), page.filtered)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn filters_that_are_given_all_have_to_hold() {
    let list = List::make(&registry(12), None, Instant::now());
    let found = |query: SessionQuery| ask(&list.rows, &query).0;
    let all: Vec<u64> = (1..=12).collect();
    assert_eq!(found(SessionQuery::default()), all);
    // Samples: user u{id % 2}, vhost v{id % 3}, node n{id % 4}, from 10.0.0.{id}, named "Worker {id}" of product Pika.
    let of_user = || SessionQuery { user: some("u1"), ..SessionQuery::default() };
    assert_eq!(found(of_user()), [1, 3, 5, 7, 9, 11]);
    assert_eq!(found(SessionQuery { vhost: some("v0"), ..of_user() }), [3, 9]);
    assert_eq!(found(SessionQuery { node: some("main/n1"), ..of_user() }), [1, 5, 9]);
    assert_eq!(found(SessionQuery { cluster: some("other"), ..of_user() }), [0; 0]);
    assert_eq!(found(SessionQuery { listener: some("amqp"), ..of_user() }).len(), 6);
    assert_eq!(found(SessionQuery { client: some("WORKER 1"), ..of_user() }), [1, 11]);
    let from = |net| found(SessionQuery { source: some(net), ..SessionQuery::default() });
    assert_eq!(from("10.0.0.4"), [4]);
    assert_eq!(from("10.0.0.8/30"), [8, 9, 10, 11]);
    let with = |text| found(SessionQuery { search: some(text), ..SessionQuery::default() });
    assert_eq!(with("10.0.0.3"), [3]);
    assert_eq!(with("V2"), [2, 5, 8, 11]);
    assert_eq!(with("pika"), all);
    assert_eq!(with("open"), all);
    assert_eq!(with("käse"), [0; 0]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let query = |source: Option<&str>, node: Option<&str>| SessionQuery {
        source: source.map(str::to_owned),
        node: node.map(str::to_owned),
        ..SessionQuery::default()
    };
    assert!(Filter::read(&query(Some("10.0.0.0/33"), None)).is_err());
    assert!(Filter::read(&query(None, Some("n1"))).is_err());
    assert!(Paging::read(&SessionQuery { page: Some(0), ..SessionQuery::default() }).is_err());
    let large = SessionQuery { page_size: Some(MOST + 1), ..SessionQuery::default() };
    assert!(Paging::read(&large).is_err());
    assert!(
        Filter::read(&SessionQuery { page: Some(2), ..SessionQuery::default() })
            .expect("it")
            .is_empty()
    );
    let blank = SessionQuery { search: some(""), client: some(""), ..SessionQuery::default() };
    assert!(Filter::read(&blank).expect("it").is_empty());
}

#[test]
fn pages_show_every_row_once_in_the_order_that_was_asked_for() {
    let registry = registry(10);
    for id in 1..=10 {
        let session = registry.get(SessionId(id)).expect("it");
        session.counters.channels.set(id % 3);
    }
    let list = List::make(&registry, None, Instant::now());
    let sorted = |page, descending| {
        let sort = Some(SortKey::Channels);
        let (page, page_size) = (Some(page), Some(4));
        let query = SessionQuery { page, page_size, sort, descending, ..SessionQuery::default() };
        ask(&list.rows, &query)
    };
    assert_eq!(sorted(1, None), (vec![3, 6, 9, 1], 10));
    assert_eq!(sorted(2, None), (vec![4, 7, 10, 2], 10));
    assert_eq!(sorted(3, None), (vec![5, 8], 10));
    assert_eq!(sorted(4, None), (vec![], 10));
    assert_eq!(sorted(usize::MAX, None), (vec![], 10));
    assert_eq!(sorted(1, Some(true)), (vec![2, 5, 8, 1], 10));
}

#[test]
fn every_column_can_be_sorted_by() {
    use SortKey::*;
    let list = List::make(&registry(9), None, Instant::now());
    let keys = [
        Id,
        Client,
        Product,
        Source,
        User,
        Vhost,
        Listener,
        Node,
        Channels,
        Published,
        Delivered,
        FromClient,
        FromNode,
        Unconfirmed,
        Age,
        State,
    ];
    for key in keys {
        for descending in [false, true] {
            let (sort, descending) = (Some(key), Some(descending));
            let query = SessionQuery { sort, descending, ..SessionQuery::default() };
            let (mut ids, filtered) = ask(&list.rows, &query);
            ids.sort_unstable();
            assert_eq!((ids, filtered), ((1..=9).collect(), 9), "{key:?}");
        }
    }
    let sorted = |sort, descending| {
        let (sort, descending) = (Some(sort), Some(descending));
        ask(&list.rows, &SessionQuery { sort, descending, ..SessionQuery::default() }).0
    };
    assert_eq!(sorted(Source, true)[..3], [9, 8, 7]);
    assert_eq!(sorted(User, false)[..4], [2, 4, 6, 8]);
    assert_eq!(sorted(Node, false)[..2], [4, 8]);
}

#[test]
fn twenty_thousand_sessions_are_listed_sorted_and_filtered_without_delay() {
    let (registry, start) = (crowd(20_000), Instant::now());
    let first = List::make(&registry, None, start);
    let begun = Instant::now();
    let list = List::make(&registry, Some(&first), start + Duration::from_secs(2));
    println!("a list of 20,000 sessions, with rates: {:?}", begun.elapsed());
    let query = SessionQuery {
        sort: Some(SortKey::Client),
        descending: Some(true),
        search: some("worker 1"),
        ..SessionQuery::default()
    };
    let begun = Instant::now();
    let (ids, filtered) = ask(&list.rows, &query);
    println!("a page of it, found by text and sorted by text: {:?}", begun.elapsed());
    assert_eq!((ids.len(), filtered), (100, 11_111));
    let begun = Instant::now();
    let sort = Some(SortKey::Published);
    ask(&list.rows, &SessionQuery { sort, ..SessionQuery::default() });
    println!("a page of all, sorted by rate: {:?}", begun.elapsed());
}
