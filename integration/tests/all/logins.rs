//! Who may do what at the admin address, with users and TLS.

use std::net::SocketAddr;

use integration::certificates::Authority;
use integration::http_peer::HttpPeer;
use integration::ports::PortBlock;
use integration::tls::ClientTls;
use integration::{GatewayProcess, command, wait};

use crate::admin_http::{ADMIN, Asker, OPERATOR, VIEWER, users};
use crate::front::SOON;

/// A gateway with users, and nothing that works behind it.
struct Guarded {
    asker: Asker,
    gateway: GatewayProcess,
    authority: Authority,
    _ports: PortBlock,
}

async fn start() -> Guarded {
    let authority = Authority::new("ca").unwrap();
    let own = authority.server(&["localhost"]).unwrap().write("admin").unwrap();
    let ports = PortBlock::claim().unwrap();
    let local = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
    let (address, admin) = (local(0), local(1));
    let config = format!(
        "[admin]\nbind = \"{admin}\"\ntls.certificates = [{{ bundle = \"{}\" }}]\nmetrics_auth = true\n{}\
         [listener.amqp]\nbind = \"{address}\"\ncluster = \"main\"\n\
         [cluster.main.node.n1]\naddress = \"127.0.0.1:9\"\n[cluster.main.health]\nchecks = []\n",
        own.bundle.display(),
        users(),
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    let asker = Asker::new(admin, Some(ClientTls::new(&authority, "localhost")));
    Guarded { asker, gateway, authority, _ports: ports }
}

#[tokio::test]
async fn roles_csrf_and_back_off_hold_over_tls_and_the_cookie_is_for_tls_alone() {
    let guarded = start().await;
    let asker = &guarded.asker;
    let weight = "PATCH /api/v1/nodes/main/n1";
    let viewer = asker.logged_in("viewer", VIEWER.0).await;
    assert!(
        viewer.cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Secure"),
        "{}",
        viewer.cookie
    );
    let cookie = format!("Cookie: {}", viewer.cookie.split(';').next().unwrap());
    let by_cookie = asker.with(cookie);
    let (head, text) = by_cookie.ask(weight, r#"{"weight":2}"#).await;
    assert!(head.status() == 403 && text.contains("X-CSRF-Token"), "{text}");
    let with_token = by_cookie.with(format!("X-CSRF-Token: {}", viewer.csrf));
    let (head, text) = with_token.ask(weight, r#"{"weight":2}"#).await;
    assert!(head.status() == 403 && text.contains("takes the role operator"), "{text}");

    let operator = asker.logged_in("operator", OPERATOR.0).await;
    let operator = asker.with(format!("Authorization: Bearer {}", operator.token));
    assert_eq!(operator.ask(weight, r#"{"weight":2}"#).await.0.status(), 200);
    let (head, text) = operator.ask("POST /api/v1/config/rollback", r#"{"revision":1}"#).await;
    assert!([403, 404].contains(&head.status()), "{text}");

    assert_eq!(asker.ask("GET /metrics", "").await.0.status(), 401);
    assert_eq!(operator.ask("GET /metrics", "").await.0.status(), 200);
    assert_eq!(asker.ask("GET /health/live", "").await.0.status(), 200);

    // On a busy machine the time to wait may be over when the next one comes; it is twice as long then.
    let mut statuses = Vec::new();
    while statuses.len() < 8 && !statuses.contains(&429) {
        statuses.push(asker.login("admin", "wrong").await.0);
    }
    assert!(statuses.starts_with(&[401; 4]) && statuses.ends_with(&[429]), "{statuses:?}");
    // It has to wait, and is let in then.
    let let_in = async || asker.login("admin", ADMIN.0).await.0 == 200;
    wait::until("a login after the wait", SOON, let_in).await.unwrap();
    let log = guarded.gateway.log();
    assert!(
        log.contains("admin gave a wrong password")
            && log.contains("operator: PATCH nodes/main/n1")
    );
    assert!(!log.contains("wrong\""), "nor what was given");
}

#[tokio::test]
async fn plain_http_is_told_that_there_is_tls_and_a_new_certificate_is_taken_over() {
    let guarded = start().await;
    let mut plain = HttpPeer::connect(guarded.asker.address).await.unwrap();
    let (head, text) = plain.get("/api/v1/nodes").await.unwrap();
    assert!(head.status() == 400 && text.contains("https://"), "{text}");
    let renewed = guarded.authority.server(&["localhost", "renewed"]).unwrap();
    renewed.write("admin").unwrap();
    let by_new_name =
        ClientTls { server_name: "renewed".to_owned(), ..guarded.asker.tls.clone().unwrap() };
    let address = guarded.asker.address;
    let shown = async || HttpPeer::connect_tls(address, &by_new_name).await.is_ok();
    wait::until("the new certificate", SOON, shown).await.unwrap();
}

#[tokio::test]
async fn a_password_is_hashed_as_the_configuration_takes_it() {
    let hash = command::hash_password("s3cret").await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}
