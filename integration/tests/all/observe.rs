//! What the API shows of sessions and traffic is what clients did, and what it closes is told 320.

use integration::peer::Peer;
use integration::suites::Lapin;
use integration::{command, http, wait};
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, Consumer};
use serde_json::{Value, json};

use crate::front::{Front, SOON, Setup};
use crate::shared;

const MESSAGES: u64 = 50;
const ROUTE: &str = "[[route]]\nname = \"shop\"\nvhost = \"orders\"\ncluster = \"main\"\n";

async fn get(front: &Front, path: &str) -> Value {
    let url = front.gateway.admin_url(&format!("/api/v1/{path}")).unwrap();
    http::get_json(&url).await.unwrap()
}

async fn delete(front: &Front, path: &str) -> (u16, Value) {
    let url = front.gateway.admin_url(&format!("/api/v1/{path}")).unwrap();
    let (status, body) = http::delete(&url).await.unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// The one of a list that is called so.
fn named<'a>(list: &'a Value, key: &str, name: &str) -> &'a Value {
    let all = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    all.iter().find(|one| one[key] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// Two connections; what is dropped of them ends.
struct Exchange {
    connections: [Connection; 2],
    _channels: [Channel; 2],
    _consumer: Consumer,
}

/// Publishes with confirms what another session of the same user consumes.
async fn exchange(front: &Front) -> Exchange {
    let connections = [
        Lapin::new(front.address, "orders").connect().await.unwrap(),
        Lapin::new(front.address, "orders").connect().await.unwrap(),
    ];
    let (out, into) = (
        connections[0].create_channel().await.unwrap(),
        connections[1].create_channel().await.unwrap(),
    );
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    into.queue_declare("observed".into(), options, FieldTable::default()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumer = into.basic_consume("observed".into(), "".into(), options, FieldTable::default());
    let consumer = consumer.await.unwrap();
    out.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for _ in 0..MESSAGES {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = out.basic_publish("".into(), "observed".into(), options, b"x", properties);
        sent.await.unwrap().await.unwrap();
    }
    Exchange { connections, _channels: [out, into], _consumer: consumer }
}

#[tokio::test]
async fn sessions_vhosts_users_and_the_way_between_are_shown_as_clients_made_them() {
    let cluster = &shared::setup().await.cluster;
    let front = Setup::at_accept().more(ROUTE).start(&[cluster.amqp_addr(1)]).await;
    let both = exchange(&front).await;
    let mut refused = front.client().await;
    refused.open("app", "secret", "nowhere").await.unwrap_err();
    drop(refused);
    let counted = async || {
        let vhosts = get(&front, "vhosts").await;
        let orders = named(&vhosts["vhosts"], "vhost", "orders");
        orders["totals"]["delivered"] == MESSAGES && orders["totals"]["confirmed"] == MESSAGES
    };
    wait::until("all messages to be counted", SOON, counted).await.unwrap();
    // The third is gone a moment after its client is, and counts as refused then.
    let refused = |list: &Value| list.as_array().unwrap().iter().any(|one| one["refused"] == 1);
    let gone = async || {
        let (vhosts, users) = (get(&front, "vhosts").await, get(&front, "users").await);
        refused(&vhosts["vhosts"])
            && refused(&users["users"])
            && get(&front, "sessions").await["total"] == 2
            && get(&front, "status").await["sessions"] == 2
    };
    wait::until("the refused one to be gone", SOON, gone).await.unwrap();

    let vhosts = get(&front, "vhosts").await;
    let orders = named(&vhosts["vhosts"], "vhost", "orders");
    assert_eq!((&orders["sessions"], &orders["users"]), (&json!(2), &json!(["app"])), "{orders}");
    assert_eq!(orders["nodes"], json!([{"at": "main/n1", "sessions": 2}]));
    assert_eq!(
        (&orders["routed"], &orders["totals"]["published"]),
        (&json!("main"), &json!(MESSAGES))
    );
    assert_eq!(named(&vhosts["vhosts"], "vhost", "nowhere")["refused"], 1, "{vhosts}");
    let users = get(&front, "users").await;
    let app = named(&users["users"], "user", "app");
    assert_eq!((&app["sessions"], &app["refused"]), (&json!(2), &json!(1)), "{app}");

    let sessions =
        get(&front, "sessions?vhost=orders&sort=published&descending=true&page_size=1").await;
    assert_eq!((&sessions["filtered"], &sessions["total"]), (&json!(2), &json!(2)), "{sessions}");
    let first = &sessions["sessions"][0];
    let said = ["state", "listener", "protocol", "user", "route", "cluster", "node"]
        .map(|key| &first[key]);
    assert_eq!(said, ["open", "amqp", "amqp-0-9-1", "app", "shop", "main", "n1"], "{first}");
    assert_eq!((&first["totals"]["published"], &first["channels"]), (&json!(MESSAGES), &json!(1)));

    let way = get(&front, "topology").await;
    let flows: Vec<_> = way["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| {
            (
                flow["from"].as_str().unwrap(),
                flow["to"].as_str().unwrap(),
                flow["sessions"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("listener:amqp", "route:1", 2),
        ("listener:amqp", "cluster:main", 0),
        ("route:1", "cluster:main", 2),
        ("cluster:main", "node:main/n1", 2),
    ];
    assert_eq!(flows, expected, "{way}");
    let status = get(&front, "status").await;
    assert_eq!((&status["sessions"], &status["channels"]), (&json!(2), &json!(2)), "{status}");
    assert_eq!((&status["ready"], &status["alarms"]), (&json!(true), &json!([])), "{status}");
    assert!(status["totals"]["published"].as_u64().unwrap() >= MESSAGES);
    let routes = get(&front, "routes").await;
    assert_eq!(routes["routes"][0]["conditions"], json!(["vhost = \"orders\""]), "{routes}");
    assert_eq!(routes["routes"][0]["sessions"], 2);

    // What has ended counts as it did, and the hour before is told.
    let id = first["id"].as_u64().unwrap();
    let steps = get(&front, &format!("sessions/{id}/history")).await;
    assert_eq!(steps["steps"][1]["text"], "open on main/n1", "{steps}");
    for connection in both.connections {
        connection.close(200, "bye".into()).await.unwrap();
    }
    let gone = async || get(&front, "sessions").await["total"] == 0;
    wait::until("both to be gone", SOON, gone).await.unwrap();
    let vhosts = get(&front, "vhosts").await;
    let orders = named(&vhosts["vhosts"], "vhost", "orders");
    assert_eq!(
        (&orders["sessions"], &orders["totals"]["published"]),
        (&json!(0), &json!(MESSAGES))
    );
    let sampled = async || {
        let history = get(&front, "history").await;
        history["handshakes"].as_array().unwrap().iter().any(|rate| rate.as_f64() > Some(0.0))
    };
    wait::until("the handshakes in the history", SOON, sampled).await.unwrap();
}

/// A client that waits to be told.
async fn open(front: &Front, vhost: &str) -> Peer {
    let mut client = front.client().await;
    client.open("app", "secret", vhost).await.unwrap();
    client
}

async fn until_left(front: &Front, count: usize) {
    let left = async || get(front, "sessions").await["total"] == count;
    wait::until(format!("{count} to be left"), SOON, left).await.unwrap();
}

async fn assert_told(mut client: Peer) {
    let (code, text) = client.expect_close().await.unwrap();
    assert_eq!((code, &*text), (320, "CONNECTION_FORCED - gateway gw: closed by an operator"));
    client.send_close_ok().await.unwrap();
}

#[tokio::test]
async fn who_is_closed_by_an_operator_is_told_320_and_nobody_else() {
    let cluster = &shared::setup().await.cluster;
    let front = Setup::at_accept().start(&[cluster.amqp_addr(1)]).await;
    let first = open(&front, "orders").await;
    let id = get(&front, "sessions").await["sessions"][0]["id"].as_u64().unwrap();
    let [second, third] = [open(&front, "orders").await, open(&front, "orders").await];
    let other = open(&front, "billing").await;

    let done = command::run(&front.gateway, &["close", &id.to_string()]).await.unwrap();
    assert_eq!((done.code, &*done.error), (Some(0), ""), "{done:?}");
    let closed_at = first.local_addr().unwrap();
    assert_told(first).await;
    let record = front.record_of(closed_at).await;
    assert_eq!(
        (&record["who"], &record["reason"]),
        (&json!("operator"), &json!("operator-closed"))
    );
    // Its record comes before it is gone.
    until_left(&front, 3).await;

    assert_eq!(delete(&front, "sessions/4711").await.0, 404);
    let (status, problem) = delete(&front, "sessions").await;
    assert_eq!(status, 422, "{problem}");
    let (status, closing) = delete(&front, "sessions?vhost=orders&source=127.0.0.0/8").await;
    assert_eq!((status, &closing["sessions"]), (200, &json!(2)), "{closing}");
    assert_told(second).await;
    assert_told(third).await;
    until_left(&front, 1).await;
    other.close().await.unwrap();
}
