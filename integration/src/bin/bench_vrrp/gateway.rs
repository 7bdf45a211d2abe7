//! This gateway, with as little as it needs to run: a listener, and a cluster whose only node belongs to it alone.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, Result};
use integration::target;
use integration::vrrp_lab::{BROKER, Gateway, Lab, VIP, address};

use crate::candidate::{Candidate, Node};

/// The binary of this build.
pub(crate) struct Product {
    version: String,
}

impl Product {
    /// Asks it for its version.
    ///
    /// # Errors
    /// When there is no binary.
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new(target::gateway()?).arg("--version").output();
        let output = output.context("the gateway does not run")?;
        Ok(Self { version: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
    }
}

impl Candidate for Product {
    fn version(&self) -> String {
        self.version.clone()
    }

    fn start(&self, lab: &Lab, gateway: &str, priority: u8) -> Result<Box<dyn Node>> {
        let node = SocketAddr::from((address(BROKER)?, 5600 + u16::from(priority)));
        let broker = lab.inside(BROKER, || Broker::start(node))?;
        broker.listen(true)?;
        let process = Gateway::start(lab, gateway, &config(node, priority))?;
        Ok(Box::new(One { process, broker }))
    }
}

/// Health checks as often as keepalived's script: every second, two in a row decide; the weight is the same, too.
fn config(node: SocketAddr, priority: u8) -> String {
    format!(
        r#"
        [gateway]
        drain_timeout = "1s"

        [listener.amqp]
        bind = "0.0.0.0:5672"
        cluster = "main"

        [cluster.main.health]
        interval = "1s"
        fast_interval = "1s"
        rise = 2
        fall = 2
        checks = ["tcp"]

        [cluster.main.node.only]
        address = "{node}"

        [vrrp.lab]
        interface = "eth0"
        virtual_router_id = 51
        priority = {priority}
        addresses = ["{VIP}"]
        version = 3
        advertisement_interval = "100ms"

        [vrrp.lab.track]
        cluster = {{ name = "main", weight = 20 }}
        "#
    )
}

struct One {
    process: Gateway,
    broker: Broker,
}

impl Node for One {
    fn settled(&self) -> bool {
        self.process.log().contains("Entering ")
    }

    fn crash(&mut self) -> Result<()> {
        self.process.kill_both()
    }

    fn crash_service(&mut self) -> Result<()> {
        self.process.kill_gateway()
    }

    fn crash_speaker(&mut self) -> Result<()> {
        self.process.kill_vrrp()
    }

    fn goodbye(&mut self) -> Result<()> {
        self.process.terminate()
    }

    fn pause(&mut self) -> Result<()> {
        self.process.pause()
    }

    fn resume(&mut self) -> Result<()> {
        self.process.resume()
    }

    fn fail_health(&mut self) -> Result<()> {
        self.broker.listen(false)
    }

    fn restore_health(&mut self) -> Result<()> {
        self.broker.listen(true)
    }
}

/// What the health checks of one gateway connect to. It never accepts: for them it is enough that the kernel does.
struct Broker(Sender<bool>);

impl Broker {
    /// A thread in the calling thread's namespace.
    fn start(address: SocketAddr) -> Self {
        let (tell, told) = channel::<bool>();
        std::thread::spawn(move || {
            let mut _open = None;
            while let Ok(listen) = told.recv() {
                _open = listen.then(|| TcpListener::bind(address).ok()).flatten();
            }
        });
        Self(tell)
    }

    /// Whether it is up.
    fn listen(&self, listen: bool) -> Result<()> {
        self.0.send(listen).context("the fake broker is gone")
    }
}
