//! The real management UI in a real browser, through the gateway.

use integration::certificates::Authority;
use integration::suites::{Place, Suite, run_suite};
use integration::tls::ClientTls;

use crate::http::urls;
use crate::http_front::HttpSetup;
use crate::shared;

#[tokio::test]
async fn the_management_ui_works_by_https_and_http_whichever_nodes_answer() {
    let cluster = &shared::setup().await.cluster;
    let authority = Authority::new("ca").unwrap();
    let server = authority.server(&["localhost", "127.0.0.1"]).unwrap().write("server").unwrap();
    let (chain, key) = (server.chain.display(), server.key.display());
    let secure = format!(
        "cluster = \"main\"\ntls = {{ certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}] }}"
    );
    let health = "username = \"monitor\"\npassword = \"monitor\"";
    let setup = HttpSetup::default().managed(urls(cluster)).health(health).extra(&secure);
    let front = setup.start().await;
    let tls = ClientTls::new(&authority, "localhost");
    for place in [Place::over(front.extra, &tls), front.address.into()] {
        let report = run_suite(Suite::ManagementUi, place.clone()).await.unwrap();
        let log = front.gateway.log();
        assert_eq!(report.failures(), Vec::<String>::new(), "{place:?}\n{log}");
        assert_eq!(report.len(), Suite::ManagementUi.checks(), "{place:?}: a check is missing");
    }
    let nodes = ["n1", "n2", "n3"];
    let answered = |node: &&str| front.records().iter().any(|record| record["node"] == **node);
    assert!(nodes.iter().all(answered), "not all nodes have answered");
}
