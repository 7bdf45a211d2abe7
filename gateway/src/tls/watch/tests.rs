use std::fs;

use super::*;
use crate::config::model::{
    ClientAuth, ClusterTls, Listener, ListenerName, ListenerTls, Model, samples,
};
use crate::tls::samples::{Authority, Client, Wanted, meet, section};
use crate::tls::server::Alpn;
use crate::tls::{prepare, prepare_after};

/// Watches one listener.
struct Watched {
    watch: Watch,
    metrics: Arc<Metrics>,
    listener: Arc<Termination>,
}

fn watched(model: ListenerTls) -> Watched {
    let name = crate::config::model::ListenerName("amqps".into());
    let (model, mut tls) = (Arc::new(model), Tls::default());
    tls.files.look_at_all(files_of_listener(&model));
    let made = Termination::new(&name, &model, Alpn::Ignored, &mut Findings::default());
    let listener = Arc::new(made.expect("good"));
    tls.listeners.insert(name, listener.clone());
    let metrics = Arc::new(Metrics::new());
    let in_force = Arc::new(ArcSwap::from_pointee(tls));
    let watch = Watch::new(in_force, metrics.clone(), Arc::default());
    Watched { watch, metrics, listener }
}

impl Watched {
    fn look(&mut self) {
        self.watch.look(SystemTime::now());
    }

    /// Until what has changed has come to rest.
    fn settle(&mut self) {
        self.look();
        self.look();
    }

    fn shown(&self) -> String {
        self.listener.certificates().iter().map(|leaf| &*leaf.name).collect::<Vec<_>>().join(",")
    }

    /// Files taken over, and refused.
    fn counted(&self) -> (u32, u32) {
        let page = self.metrics.render();
        let count = |result: &str| {
            let name = format!("amqp_gateway_certificate_reloads_total{{result=\"{result}\"}} ");
            page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
        };
        (count("success"), count("failure"))
    }
}

fn wanted<'a>(file: &'a str, common_name: &'a str) -> Wanted<'a> {
    Wanted { file, common_name, ..Wanted::default() }
}

#[test]
fn a_renewed_pair_is_used_once_it_has_come_to_rest() {
    let ca = Authority::new("ca");
    let own = ca.issue(&wanted("own", "old"));
    let mut watched = watched(section(vec![own.clone()]));
    watched.settle();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("old", (0, 0)));
    // The chain comes first, and its key a look later.
    let new = ca.issue(&wanted("next", "new"));
    fs::copy(&new.chain, &own.chain).expect("a copy");
    watched.look();
    fs::copy(&new.key, &own.key).expect("a copy");
    watched.look();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("old", (0, 0)));
    watched.look();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("new", (1, 0)));
    watched.settle();
    assert_eq!(watched.counted(), (1, 0));
}

#[test]
fn a_broken_pair_is_refused_once_and_the_others_are_renewed_all_the_same() {
    let ca = Authority::new("ca");
    let (first, second) = (ca.issue(&wanted("first", "a")), ca.issue(&wanted("second", "b")));
    let mut watched = watched(section(vec![first.clone(), second]));
    fs::write(&first.chain, "nothing").expect("a file");
    ca.issue(&wanted("second", "new"));
    for _ in 0..RETRY_AFTER * 2 {
        watched.look();
    }
    assert_eq!((watched.shown().as_str(), watched.counted()), ("a,new", (1, 1)));
    fs::remove_file(&first.chain).expect("it was there");
    watched.settle();
    assert_eq!(watched.counted(), (1, 2), "another fault is told again");
    ca.issue(&wanted("first", "repaired"));
    watched.settle();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("repaired,new", (2, 2)));
}

#[test]
fn a_certificate_that_is_not_valid_yet_is_taken_over_when_it_can_be() {
    let ca = Authority::new("ca");
    let own = ca.issue(&wanted("own", "old"));
    let mut watched = watched(section(vec![own.clone()]));
    ca.issue(&Wanted { days: (1, 9), ..wanted("own", "early") });
    watched.settle();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("old", (0, 1)));
    // Nobody waits a day here: its key cannot be read for a while, which is as good.
    ca.issue(&wanted("own", "new"));
    let key = fs::read(&own.key).expect("a file");
    let aside = ca.path("aside.key");
    fs::rename(&own.key, &aside).expect("a move");
    watched.settle();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("old", (0, 2)));
    fs::write(&own.key, key).expect("a file");
    watched.settle();
    assert_eq!((watched.shown().as_str(), watched.counted()), ("new", (1, 2)));
}

#[test]
fn authorities_and_revocation_lists_are_watched_too() {
    let ca = Authority::new("ca");
    let model = ListenerTls {
        client_auth: ClientAuth::Required,
        client_ca: Some(ca.ca()),
        client_crl: vec![ca.revoke("list.pem", &[])],
        ..section(vec![ca.issue(&wanted("own", "own"))])
    };
    let mut watched = watched(model);
    let mut client = Client::of(&ca);
    let certificate = Wanted { serial: 9, names: &[], ..wanted("client", "client") };
    client.certificate = Some(ca.issue(&certificate));
    let client = client.config();
    assert!(meet(&client, &watched.listener.config(), "localhost").is_ok());
    ca.revoke("list.pem", &[9]);
    watched.settle();
    assert!(meet(&client, &watched.listener.config(), "localhost").is_err());
    assert_eq!(watched.counted(), (1, 0));
    fs::write(ca.path("list.pem"), "").expect("a file");
    watched.settle();
    assert!(meet(&client, &watched.listener.config(), "localhost").is_err());
    assert_eq!(watched.counted(), (1, 1));
}

#[test]
fn whom_the_nodes_certificates_are_signed_by_may_change() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let own = old.issue(&wanted("own", "gateway"));
    let model =
        Arc::new(ClusterTls { ca: Some(old.ca()), server_name: None, certificate: Some(own) });
    let name = crate::config::model::ClusterName("main".into());
    let mut tls = Tls::default();
    tls.files.look_at_all(files_of_cluster(&model));
    let made = Origination::new(&name, &model, &mut Findings::default());
    let cluster = Arc::new(made.expect("good"));
    let both = crate::tls::OfCluster { amqp: Some(cluster.clone()), https: None };
    tls.clusters.insert(name, both);
    let in_force = Arc::new(ArcSwap::from_pointee(tls));
    let mut watch = Watch::new(in_force, Arc::new(Metrics::new()), Arc::default());
    let node = watched(section(vec![new.issue(&wanted("node", "node"))])).listener;
    assert!(meet(&cluster.config(), &node.config(), "localhost").is_err());
    fs::copy(new.path("ca.pem"), old.path("ca.pem")).expect("a copy");
    old.issue(&wanted("own", "renewed"));
    watch.look(SystemTime::now());
    watch.look(SystemTime::now());
    assert!(meet(&cluster.config(), &node.config(), "localhost").is_ok());
    assert_eq!(cluster.certificate().map(|leaf| leaf.name).as_deref(), Some("renewed"));
}

#[test]
fn the_end_of_each_certificate_is_a_metric() {
    let ca = Authority::new("ca");
    let pairs = [("own", (-1, 9)), ("own2", (-1, 5)), ("other", (-1, 7))];
    let pairs = pairs.map(|(file, days)| {
        let name = file.trim_end_matches('2');
        ca.issue(&Wanted { days, ..wanted(file, name) })
    });
    let watched = watched(section(pairs.to_vec()));
    let mut tls = Tls::default();
    tls.listeners.insert(watched.listener.listener().clone(), watched.listener.clone());
    watched.metrics.add_collector(move |scrape| tls.report(scrape));
    let page = watched.metrics.render();
    let end = |name: &str| -> f64 {
        let of = format!("certificate=\"{name}\"");
        let mut lines = page.lines().filter(|line| line.contains("expiry") && line.contains(&of));
        let line = lines.next().expect("a line");
        assert!(lines.next().is_none() && line.contains("listener=\"amqps\""), "{page}");
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let days = |name: &str| ((end(name) - now.as_secs_f64()) / 86_400.0).round();
    assert_eq!((days("own"), days("other")), (5.0, 7.0));
}

#[test]
fn after_a_reload_what_is_the_same_is_the_very_same_and_what_is_new_is_watched_too() {
    let ca = Authority::new("ca");
    let (own, other) = (ca.issue(&wanted("own", "a")), ca.issue(&wanted("other", "b")));
    let listener = |name: &str, tls: &Certificate| Listener {
        tls: Some(Arc::new(section(vec![tls.clone()]))),
        ..samples::listener(name, None)
    };
    let model = |listeners| Model { listeners, ..samples::model(Vec::new()) };
    let first = prepare(&model(vec![listener("one", &own), listener("two", &other)]));
    let in_force = Arc::new(ArcSwap::from_pointee(first.expect("good")));
    let mut watch = Watch::new(in_force.clone(), Arc::new(Metrics::new()), Arc::default());
    // Something has changed that nobody has taken over yet when the reload comes.
    ca.issue(&wanted("own", "renewed"));
    let before = in_force.load_full();
    let second =
        model(vec![listener("one", &own), listener("two", &own), listener("three", &other)]);
    in_force.store(Arc::new(prepare_after(&before, &second).expect("good")));
    let shown = |name: &str| {
        let listener = in_force.load().listeners[&ListenerName(name.into())].clone();
        let names: Vec<_> = listener.certificates().iter().map(|leaf| leaf.name.clone()).collect();
        names.concat()
    };
    let of = |tls: &Tls, name: &str| tls.listeners[&ListenerName(name.into())].clone();
    assert!(Arc::ptr_eq(&of(&before, "one"), &of(&in_force.load(), "one")));
    assert!(!Arc::ptr_eq(&of(&before, "two"), &of(&in_force.load(), "two")));
    assert_eq!((shown("one"), shown("two")), ("a".into(), "renewed".into()));
    ca.issue(&wanted("other", "new"));
    for _ in 0..2 {
        watch.look(SystemTime::now());
    }
    assert_eq!((shown("one"), shown("three")), ("renewed".into(), "new".into()));
    assert_eq!(watch.sets.len(), 3, "what is gone is watched no more");
}

#[test]
fn the_admin_address_keeps_its_tls_across_reloads_as_long_as_its_certificates_are_the_same() {
    let ca = Authority::new("ca");
    let (own, other) = (ca.issue(&wanted("own", "a")), ca.issue(&wanted("other", "b")));
    let model = |certificate: &Certificate| {
        let admin = crate::config::model::Admin {
            bind: ([127, 0, 0, 1], 0).into(),
            certificates: vec![certificate.clone()],
            metrics_auth: false,
            users: Vec::new(),
            tokens: Vec::new(),
        };
        Model { admin: Some(admin), ..samples::model(Vec::new()) }
    };
    let first = prepare(&model(&own)).expect("good");
    let second = prepare_after(&first, &model(&own)).expect("good");
    let third = prepare_after(&second, &model(&other)).expect("good");
    let of = |tls: &Tls| tls.admin.clone().expect("TLS");
    assert!(Arc::ptr_eq(&of(&first), &of(&second)));
    assert!(!Arc::ptr_eq(&of(&second), &of(&third)));
}
