//! The web console in a real browser, against a real gateway with real brokers: every page of it, and what an operator
//! does there.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use integration::certificates::Authority;
use integration::ports::PortBlock;
use integration::process::Signal;
use integration::suites::{Client, Script};
use integration::{GatewayProcess, RabbitCluster, http};

use crate::admin_http::{ADMIN, OPERATOR, VIEWER, users};
use crate::console_clients::Clients;
use crate::front::local;

/// How many checks the script has: one that vanishes silently is noticed.
const CHECKS: usize = 25 + 18 + 2;

/// A name that clients of some libraries have: host, process, purpose. No page gets wider by it.
const LONG: &str = "nightly-export@ip-10-11-12-13.eu-central-1.compute.internal:22881/rabbitConnectionFactory#5f2e";

/// What the script has things done to.
struct Stage {
    cluster: RabbitCluster,
    gateway: GatewayProcess,
    clients: Clients,
    file: PathBuf,
}

impl Stage {
    /// What the script asks for, in a word or two.
    async fn act(&mut self, what: &str) -> Result<String> {
        match what.split_once(' ').unwrap_or((what, "")) {
            ("kill", "n2") => self.cluster.kill_node(2).await?,
            ("start", "n2") => self.cluster.start_node(2).await?,
            ("forget", _) => self.clients.forget(),
            ("told", client) => {
                let (code, text) = self.clients.told(client).await?;
                return Ok(format!("{code} {text}"));
            }
            ("configure", line) => {
                let text = fs::read_to_string(&self.file)?;
                fs::write(
                    &self.file,
                    text.replace("[listener.amqp]\n", &format!("[listener.amqp]\n{line}\n")),
                )?;
            }
            ("freeze", _) => self.gateway.signal(Signal::STOP)?,
            ("thaw", _) => self.gateway.signal(Signal::CONT)?,
            _ => bail!("nobody knows how to do that"),
        }
        Ok("done".to_owned())
    }
}

#[tokio::test]
async fn every_page_of_the_console_shows_and_does_what_it_says() {
    let cluster = RabbitCluster::builder("main").nodes(2).vhosts(["/", "orders", "billing"]);
    let cluster = cluster.start().await.unwrap();
    let authority = Authority::new("ca").unwrap();
    let own = authority.server(&["localhost", "mq.example.com"]).unwrap().write("server").unwrap();
    let ports = PortBlock::claim().unwrap();
    let [amqp, amqps, admin] = [0, 1, 2].map(|index| local(ports.port(index)));
    let node = |n| {
        let (address, management) = (cluster.amqp_addr(n), cluster.mgmt_url(n));
        format!("address = \"{address}\"\nmanagement = \"{management}\"\n")
    };
    let health = "interval = \"1s\"\nusername = \"admin\"\npassword = \"admin\"\n";
    let config = format!(
        "[gateway]\nname = \"gw1\"\ndrain_rate = 1\n\n\
         [admin]\nbind = \"{admin}\"\n{users}\n\
         [listener.amqp]\nbind = \"{amqp}\"\n\n\
         [listener.amqps]\nbind = \"{amqps}\"\ncluster = \"main\"\n\
         tls = {{ certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}] }}\n\n\
         [[route]]\nvhost = \"orders\"\ncluster = \"main\"\n\n\
         [[route]]\nvhost = \"billing\"\ncluster = \"blue\"\n\n\
         [cluster.main]\nslow_start = \"0s\"\n[cluster.main.health]\n{health}\
         [cluster.main.node.n1]\n{n1}[cluster.main.node.n2]\n{n2}\n\
         [cluster.blue.health]\n{health}[cluster.blue.node.b1]\n{n1}",
        users = users(),
        chain = own.chain.display(),
        key = own.key.display(),
        n1 = node(1),
        n2 = node(2),
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    let (_, page) = http::get(&gateway.admin_url("/ui/").unwrap()).await.unwrap();
    assert!(
        page.contains("<script"),
        "the console is not in this gateway: `make console`, then build it again\n{page}"
    );

    let clients = [
        ("orders-api", "orders"),
        ("orders-job", "orders"),
        ("orders-export", "orders"),
        ("orders-import", "orders"),
        ("orders-mail", "orders"),
        ("orders-audit", "orders"),
        ("orders-stock", "orders"),
        ("orders-invoice", "orders"),
        ("orders-returns", "orders"),
        (LONG, "orders"),
        ("billing-api", "billing"),
        ("billing-report", "billing"),
    ];
    let clients = Clients::start(amqp, &clients);
    let passwords = [ADMIN, OPERATOR, VIEWER].map(|(password, _)| password.to_owned());
    let file = gateway.dir().join("gateway.toml");
    let mut stage = Stage { cluster, gateway, clients, file };
    let script = Script::start(Client::Browser, "console/main", admin, &passwords).unwrap();
    let report = script.report_doing(async |what| stage.act(what).await).await;
    let log = stage.gateway.log();
    let last = log.lines().rev().take(40).collect::<Vec<_>>();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    let report = report.unwrap_or_else(|error| panic!("{error:#}\n{last}"));
    assert!(report.failures().is_empty(), "{report}\n{last}");
    assert_eq!(report.len(), CHECKS, "a check is missing or new: {report}");
    stage.cluster.down().await.unwrap();
}
