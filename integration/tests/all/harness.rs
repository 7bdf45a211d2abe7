//! The harness keeps its own promises.

use std::time::Duration;

use integration::peer::Peer;
use integration::{RabbitCluster, http, wait};

#[tokio::test]
async fn a_cluster_survives_the_end_of_each_kind_of_its_nodes() {
    let cluster = RabbitCluster::builder("h").nodes(2).start().await.unwrap();
    let open = async |n: usize| -> anyhow::Result<Peer> {
        let mut client = Peer::connect(cluster.amqp_addr(n)).await?;
        client.open("app", "secret", "billing").await?;
        Ok(client)
    };
    let mut client = open(2).await.unwrap();
    let running = cluster.ctl(1, &["list_vhosts", "--quiet", "--no-table-headers"]).await.unwrap();
    assert!(running.lines().any(|vhost| vhost == "billing"), "{running}");

    cluster.stop_node(2).await.unwrap();
    assert_eq!(client.expect_close().await.unwrap().0, 320);
    assert!(open(2).await.is_err());
    cluster.start_node(2).await.unwrap();

    let mut client = open(2).await.unwrap();
    cluster.kill_node(2).await.unwrap();
    client.expect_eof().await.unwrap();
    cluster.start_node(2).await.unwrap();

    let mut hung = Peer::connect(cluster.amqp_addr(2)).await.unwrap();
    cluster.pause_node(2).await.unwrap();
    hung.send_raw(&integration::peer::HEADER).await.unwrap();
    cluster.resume_node(2).await.unwrap();
    hung.expect_method((10, 10)).await.unwrap();
    open(1).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn users_have_the_rights_they_are_said_to_have() {
    let cluster =
        RabbitCluster::builder("users").extra_conf("heartbeat = 7").start().await.unwrap();
    for (user, password, vhost, allowed) in [
        ("limited", "limited", "orders", true),
        ("limited", "limited", "billing", false),
        ("noperm", "noperm", "/", false),
        ("guest", "guest", "audit", true),
    ] {
        let mut client = Peer::connect(cluster.amqp_addr(1)).await.unwrap();
        let opened = client.open(user, password, vhost).await;
        assert_eq!(opened.is_ok(), allowed, "{user} on {vhost}: {opened:?}");
        assert!(opened.is_err() || opened.unwrap().heartbeat == 7, "extra_conf is used");
    }
    let mut client = Peer::connect(cluster.amqp_addr(1)).await.unwrap();
    client.login("app", "wrong").await.unwrap_err();
    let url = cluster.mgmt_api(1, "connections");
    wait::until("the management API to list no connection", Duration::from_secs(60), async || {
        http::get_json(&url).await.is_ok_and(|all| all.as_array().is_some_and(Vec::is_empty))
    })
    .await
    .unwrap();
}
