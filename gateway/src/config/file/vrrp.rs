//! `[vrrp.NAME]` and `[notify.email]` as the user writes them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::track::{Switch, Tracks};
use super::{At, OneOrMany, Secret};
use crate::config::defaults::{self, text};
use crate::config::model::{EmailTls, VrrpChecksum};

/// Addresses that this gateway shares with others by VRRP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualRouter {
    /// The interface that advertisements go out of, and that the addresses are added to.
    #[schemars(required, example = &"eth0")]
    pub interface: Option<At<String>>,
    /// The number (VRID) that all gateways sharing these addresses have in common.
    #[schemars(required, range(min = 1, max = 255), example = 51)]
    pub virtual_router_id: Option<At<u32>>,
    /// The highest one gets the addresses; 255 = they are this host's own.
    #[schemars(range(min = 1, max = 255), extend("default" = defaults::VRRP_PRIORITY))]
    pub priority: Option<At<u32>>,
    /// The shared addresses, IPv4 or IPv6, not both. Without a prefix length: /32 or /128.
    #[schemars(required, example = "192.168.1.100/24")]
    pub addresses: Option<OneOrMany>,
    /// Version of VRRP: 3 (RFC 9568), or 2 (RFC 3768).
    #[schemars(range(min = 2, max = 3), extend("default" = defaults::VRRP_VERSION))]
    pub version: Option<At<u32>>,
    /// Between two advertisements. Version 3: steps of 10ms, up to 40950ms. Version 2: whole
    /// seconds, up to 255s, and 1s by default.
    #[schemars(extend("default" = text(defaults::VRRP_INTERVAL)))]
    pub advertisement_interval: Option<At<String>>,
    /// Does it take the addresses from a gateway of lower priority?
    #[schemars(extend("default" = defaults::VRRP_PREEMPT))]
    pub preempt: Option<At<bool>>,
    /// How long it waits before it does. From 0s to 1h.
    #[schemars(extend("default" = text(defaults::VRRP_PREEMPT_DELAY)))]
    pub preempt_delay: Option<At<String>>,
    /// Does a backup ask an active gateway whose advertisement is overdue, and take over when it
    /// does not answer? And does it wait a tenth of the skew time alone when the active one says
    /// that it leaves? false: it waits as long as RFC 9568 has it.
    #[schemars(extend("default" = defaults::VRRP_FAST_TAKEOVER))]
    pub fast_takeover: Option<bool>,
    /// Version 2: the password, as keepalived's auth_type PASS. It is sent in plain text, and only
    /// its first 8 bytes count.
    pub authentication: Option<At<Secret>>,
    /// File that holds it, in place of `authentication`.
    #[schemars(example = "/etc/amqp-gateway/vrrp.password")]
    pub authentication_file: Option<At<String>>,
    /// Addresses of the other gateways, for unicast. Default: multicast.
    #[schemars(example = ["192.168.1.2"])]
    pub peers: Option<OneOrMany>,
    /// Source of advertisements. Default: the first address of the interface (IPv6: its
    /// link-local one).
    #[schemars(example = "192.168.1.1")]
    pub source_address: Option<At<String>>,
    /// Are the addresses on an interface of their own with the MAC 00:00:5e:00:01:VRID (IPv6:
    /// 00:00:5e:00:02:VRID)?
    #[schemars(extend("default" = defaults::VRRP_VIRTUAL_MAC))]
    pub virtual_mac: Option<bool>,
    /// Virtual routers of one group move together.
    #[schemars(example = &"edge")]
    pub sync_group: Option<At<String>>,
    /// How neighbours are told where the addresses are (gratuitous ARP; IPv6: unsolicited
    /// neighbour advertisements).
    pub garp: Option<Garp>,
    /// Which checksum advertisements of version 3 over IPv4 bear; both are accepted.
    #[schemars(extend("default" = "auto"))]
    pub checksum: Option<At<VrrpChecksum>>,
    /// What lowers the priority.
    pub track: Option<Track>,
    /// Who is told of its transitions.
    pub notify: Option<VrrpNotify>,
}

/// How neighbours are told where the addresses are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Garp {
    /// Announcements of each address: at once, and again after the delay.
    #[schemars(range(min = 1, max = 100), extend("default" = defaults::GARP_REPEAT))]
    pub repeat: Option<At<u32>>,
    /// After which they are repeated; 0s = never. Up to 1h.
    #[schemars(extend("default" = text(defaults::GARP_DELAY)))]
    pub delay: Option<At<String>>,
    /// How often the active gateway announces its addresses again; "off": never. From 1s to 1day.
    #[schemars(extend("default" = text(defaults::GARP_REFRESH)))]
    pub refresh: Option<At<String>>,
}

/// What lowers the priority. Without a weight, the virtual router gives its addresses up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// A listener of this gateway does not accept.
    #[schemars(example = true)]
    pub listeners: Option<Switch>,
    /// A cluster has no usable node; one or a list.
    #[schemars(example = &"main")]
    pub cluster: Option<Tracks>,
    /// A further interface is down; one or a list.
    #[schemars(example = &"eth1")]
    pub interface: Option<Tracks>,
    /// A command fails.
    pub script: Option<TrackScript>,
}

/// A command that is run again and again: good if it ends with 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrackScript {
    /// The program and its arguments.
    #[schemars(required, length(min = 1), example = ["/usr/local/bin/check"])]
    pub command: Option<At<Vec<At<String>>>>,
    /// From one start to the next. From 10ms to 1h.
    #[schemars(extend("default" = text(defaults::TRACK_INTERVAL)))]
    pub interval: Option<At<String>>,
    /// After this it is ended, and has failed. From 1ms to 10m.
    #[schemars(extend("default" = text(defaults::TRACK_TIMEOUT)))]
    pub timeout: Option<At<String>>,
    /// Successes in a row until it counts as well.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::TRACK_RISE))]
    pub rise: Option<At<u32>>,
    /// Failures in a row until it counts as failed.
    #[schemars(range(min = 1, max = 1000), extend("default" = defaults::TRACK_FALL))]
    pub fall: Option<At<u32>>,
    /// What is taken off the priority while it fails. Default: the addresses are given up.
    #[schemars(range(min = 1, max = 254), example = 20)]
    pub weight: Option<At<u32>>,
}

/// Who is told of the transitions of a virtual router.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VrrpNotify {
    /// The program and its arguments; TYPE NAME STATE PRIORITY are added, as keepalived has them.
    #[schemars(length(min = 1), example = ["/usr/local/bin/notify.sh"])]
    pub command: Option<At<Vec<At<String>>>>,
    /// URL that each transition is posted to as JSON.
    #[schemars(example = "https://ops.internal/hook")]
    pub webhook: Option<At<String>>,
}

/// Who is told of what happens to the gateway as a whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Mail of transitions of virtual routers, and of nodes that go down and come back.
    pub email: Option<Email>,
}

/// Mail of transitions of virtual routers, and of nodes that go down and come back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// Host and port of the mail server.
    #[schemars(required, example = "127.0.0.1:25")]
    pub smtp: Option<At<String>>,
    /// Sender.
    #[schemars(required, example = "amqp-gateway@company.com")]
    pub from: Option<At<String>>,
    /// Receiver, or a list of them.
    #[schemars(required, example = "admin@company.com")]
    pub to: Option<OneOrMany>,
    /// TLS with the mail server. Default: starttls; off where the server is on this host.
    #[schemars(example = &"starttls")]
    pub tls: Option<At<EmailTls>>,
    /// If the mail server wants a login.
    #[schemars(example = &"gateway")]
    pub username: Option<At<String>>,
    /// Its password.
    pub password: Option<At<Secret>>,
    /// File that holds its password, in place of `password`.
    #[schemars(example = "/etc/amqp-gateway/mail.password")]
    pub password_file: Option<At<String>>,
}
