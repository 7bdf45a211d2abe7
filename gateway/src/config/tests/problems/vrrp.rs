//! Rules that a schema cannot say: virtual routers, and who is told of them.

use super::super::SMALLEST;
use super::{in_one_line, problems, says, with};

/// The only problem of a file with a virtual router, whose keys begin in line 7.
fn router(keys: &str) -> String {
    with(&format!("[vrrp.a]\n{keys}"))
}

/// The same, of one that is complete; what is given here begins in line 10.
fn more(keys: &str) -> String {
    router(&format!("{WHOLE}{keys}"))
}

const WHOLE: &str = "interface = 'eth0'\nvirtual_router_id = 51\naddresses = '10.0.0.9/24'\n";

fn fine(keys: &str) {
    assert_eq!(problems(&format!("{SMALLEST}[vrrp.a]\n{WHOLE}{keys}\n")), [], "{keys}");
}

/// A second virtual router beside a complete one; its keys begin in line 11.
fn second(interface: &str, id: u8, address: &str) -> String {
    format!(
        "{SMALLEST}[vrrp.a]\n{WHOLE}[vrrp.b]\ninterface = '{interface}'\nvirtual_router_id = {id}\n\
         addresses = '{address}'\n"
    )
}

#[test]
fn what_a_virtual_router_needs_is_missed_at_its_name() {
    let found = router("virtual_router_id = 51\naddresses = '10.0.0.9'");
    says(&found, "6:7", "error vrrp.a has no interface", "add interface = \"eth0\"");
    let found = router("interface = 'eth0'\naddresses = '10.0.0.9'");
    says(&found, "6:7", "vrrp.a has no virtual_router_id", "add virtual_router_id = 51");
    let found = router("interface = 'eth0'\nvirtual_router_id = 51");
    says(&found, "6:7", "vrrp.a has no addresses", "add addresses = \"192.168.1.100/24\"");
    says(&more("priority = 0"), "10:12", "priority = 0 is out of range", "from 1 to 255");
    says(&more("version = 4"), "10:11", "version = 4 is out of range", "from 2 to 3");
}

#[test]
fn an_interface_has_a_name_that_the_kernel_takes() {
    let named = |name: &str| {
        router(&format!("interface = '{name}'\nvirtual_router_id = 51\naddresses = '10.0.0.9'"))
    };
    says(&named("eth0:1"), "7:13", "\"eth0:1\" is not the name of an interface", "`ip link`");
    says(&named("a-very-long-name"), "7:13", "has 16 bytes", "`ip link`");
}

#[test]
fn addresses_are_of_one_family() {
    let shared = |addresses: &str| {
        router(&format!("interface = 'eth0'\nvirtual_router_id = 51\naddresses = {addresses}"))
    };
    let found = shared("['10.0.0.9', 'fe80::9']");
    says(&found, "9:26", "error vrrp.a.addresses: fe80::9 and 10.0.0.9 are of two", "sync_group");
    let found = shared("['10.0.0.9', '10.0.0.9/24']");
    says(&found, "9:26", "error vrrp.a.addresses names 10.0.0.9 twice", "remove one");
    says(&shared("'10.0.0.x'"), "9:13", "\"10.0.0.x\" is not an IP address", "as in");
    let found = shared("'fd00::9'");
    says(&found, "9:13", "warning vrrp.a.addresses: the first one, fd00::9, is not link", "fe80::");
    let found = shared("'fe80::9'\nversion = 2");
    says(&found, "10:11", "error vrrp.a.version = 2 cannot share the IPv6", "write version = 3");
    let many: Vec<_> = (1..=91).map(|n| format!("'fe80::{n:x}'")).collect();
    let found = shared(&format!("[{}]", many.join(", ")));
    says(
        &found,
        "9:1079",
        "error vrrp.a.addresses: an advertisement has room for 90",
        "sync_group",
    );
}

#[test]
fn an_interval_is_one_that_the_version_can_tell() {
    let interval = |keys: &str| more(&format!("advertisement_interval = {keys}"));
    says(&interval("'105ms'"), "10:26", "\"105ms\" is not a number of whole", "write \"100ms\"");
    says(&interval("'41s'"), "10:26", "out of range", "from 10ms to 40s 950ms");
    says(&interval("'5ms'"), "10:26", "out of range", "from 10ms");
    let found = interval("'1500ms'\nversion = 2");
    says(&found, "10:26", "not a number of whole steps, which are of 1s", "write \"1s\"; version");
    let found = interval("'100ms'\nversion = 2");
    says(&found, "10:26", "out of range", "from 1s to 4m 15s; version = 3 has shorter ones");
    fine("advertisement_interval = '40950ms'");
    fine("advertisement_interval = '255s'\nversion = 2");
}

#[test]
fn only_version_2_has_a_password() {
    let found = more("authentication = 'mypass'");
    says(&found, "10:18", "error vrrp.a.authentication: version 3 of VRRP has none", "peers");
    let found = more("version = 2\nauthentication = 'ninebytes'");
    says(&found, "11:18", "warning vrrp.a.authentication is longer than 8 bytes", "first 8 count");
    assert!(!found.contains("ninebytes"), "{found}");
    let found = more("version = 2\nauthentication = 'a'\nauthentication_file = '/run/password'");
    says(&found, "12:23", "has both authentication and authentication_file", "keep one");
    let found = more("version = 2\nauthentication_file = '/run/empty'");
    says(&found, "11:23", "vrrp.a.authentication_file: \"/run/empty\" cannot be used: it is", "");
    says(&more("version = 2\nauthentication = ''"), "11:18", "this text is empty", "fill it");
    fine("version = 2\nauthentication = '8 bytes!'");
}

#[test]
fn a_password_of_vrrp_is_not_shown() {
    let text = format!("{SMALLEST}[vrrp.a]\n{WHOLE}authentication = 's3cret'\n");
    let shown: Vec<_> = problems(&text).iter().map(ToString::to_string).collect();
    assert!(shown.concat().contains("authentication = '******'"), "{shown:?}");
}

#[test]
fn a_source_is_an_address_of_this_host() {
    let source = |address: &str| more(&format!("source_address = '{address}'"));
    says(
        &source("fe80::1"),
        "10:18",
        "error vrrp.a.source_address: fe80::1 and",
        "an IPv4 address",
    );
    let found = source("10.0.0.9");
    says(&found, "10:18", "error vrrp.a.source_address: 10.0.0.9 is one of", "priority = 255");
    fine("priority = 255\nsource_address = '10.0.0.9'");
    let ipv6 = WHOLE.replace("10.0.0.9/24", "fe80::9/64");
    let found = router(&format!("{ipv6}source_address = 'fd00::1'"));
    says(&found, "10:18", "warning vrrp.a.source_address: fd00::1 is not link-local", "remove it");
}

#[test]
fn peers_are_other_gateways() {
    let peers = |more_keys: &str| more(&format!("peers = {more_keys}"));
    says(&peers("['fe80::2']"), "10:10", "fe80::2 and the shared 10.0.0.9 are", "the IPv4 address");
    says(&peers("'10.0.0.9'"), "10:9", "10.0.0.9 is one of the shared addresses", "always has");
    let found = peers("'10.0.0.1'\nsource_address = '10.0.0.1'");
    says(&found, "10:9", "10.0.0.1 is this gateway's own source_address", "other gateways only");
    says(&peers("['10.0.0.2', '10.0.0.2']"), "10:22", "10.0.0.2 is there twice", "remove");
    says(&peers("'224.0.0.18'"), "10:9", "is a multicast address", "");
    let many: Vec<_> = (10..=42).map(|n| format!("'10.0.0.{n}'")).collect();
    says(
        &peers(&format!("[{}]", many.join(", "))),
        "10:426",
        "33 peers, and 32 at most",
        "multicast",
    );
    fine("virtual_mac = true\npeers = '10.0.0.2'");
}

#[test]
fn a_number_is_one_virtual_router_on_an_interface() {
    let only = |text: &str| {
        let found: Vec<_> = problems(text).iter().map(in_one_line).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.concat()
    };
    let found = only(&second("eth0", 51, "10.0.0.10"));
    says(
        &found,
        "12:21",
        "error vrrp.b.virtual_router_id: 51 on eth0 is vrrp.a of line 8",
        "another",
    );
    assert_eq!(problems(&second("eth1", 51, "10.0.0.10")), []);
    assert_eq!(problems(&second("eth0", 51, "fe80::10")), []);
    let found = only(&second("eth1", 52, "10.0.0.9"));
    says(&found, "13:13", "error vrrp.b.addresses: 10.0.0.9 is vrrp.a's in line 9", "remove one");
}

#[test]
fn a_group_has_several_members() {
    let found = more("sync_group = 'edge'");
    says(&found, "10:14", "warning vrrp.a.sync_group: nothing else is in \"edge\"", "another");
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let found = more("preempt = false\npreempt_delay = '1s'");
    says(&found, "11:17", "warning vrrp.a.preempt_delay has no effect", "remove one");
    let found = more("priority = 255\npreempt = false");
    says(&found, "11:11", "warning vrrp.a.preempt = false has no effect", "always has them");
    let found = more("version = 2\nchecksum = 'rfc9568'");
    says(&found, "11:12", "warning vrrp.a.checksum has no effect: version 2", "remove it");
    fine("checksum = 'rfc9568'");
    says(&more("garp.refresh = 'never'"), "10:16", "not a duration", "or \"off\"");
}

#[test]
fn tracked_things_exist_and_leave_some_priority() {
    let track = |keys: &str| more(&format!("[vrrp.a.track]\n{keys}"));
    let found = track("cluster = 'mian'");
    says(&found, "11:11", "error vrrp.a.track.cluster: there is no cluster \"mian\"", "\"main\"?");
    let found = track("cluster = ['main', { name = 'main', weight = 3 }]");
    says(&found, "11:29", "error vrrp.a.track.cluster names main twice", "remove one");
    let found = track("cluster = { weight = 3 }");
    says(&found, "11:1", "error vrrp.a.track.cluster has no name", "add name = ");
    let found = track("listeners = { weight = 100 }");
    says(
        &found,
        "11:24",
        "warning vrrp.a.track.listeners.weight is not below the priority, 100",
        "1;",
    );
    says(&track("listeners = { weight = 255 }"), "11:24", "out of range", "from 1 to 254");
    says(&track("listeners = 'yes'"), "11:13", "must be true or false or a section", "write");
    says(
        &track("interface = 'eth0'"),
        "11:13",
        "warning vrrp.a.track.interface: eth0 is",
        "remove",
    );
    says(&track("interface = 'eth 1'"), "11:13", "not the name of an interface", "");
    says(&track("interface = [['eth1']]"), "11:14", "must be a text in quotes or a section", "");
    let found = track("script = { command = [] }");
    says(&found, "11:22", "vrrp.a.track.script.command is an empty list", "fill it");
    let found = track("script = { command = ['/c'], interval = '1s', timeout = '2s' }");
    says(&found, "11:57", "warning vrrp.a.track.script.timeout is longer", "shorten");
}

#[test]
fn tracking_a_cluster_is_no_use_of_it() {
    let spare = "[cluster.spare.node.x]\naddress = 'x:5672'\n";
    let text = format!("{SMALLEST}{spare}[vrrp.a]\n{WHOLE}track.cluster = 'spare'\n");
    let found: Vec<_> = problems(&text).iter().map(in_one_line).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    says(&found[0], "6:10", "warning cluster.spare is not used", "name it");
}

#[test]
fn whoever_is_told_can_be_reached() {
    let notify = |keys: &str| more(&format!("[vrrp.a.notify]\n{keys}"));
    says(&notify("command = []"), "11:11", "vrrp.a.notify.command is an empty list", "fill it");
    says(&notify("command = ['']"), "11:12", "vrrp.a.notify.command: this text is empty", "");
    let found = notify("webhook = 'ftp://ops.internal/hook'");
    says(&found, "11:11", "\"ftp\" is neither http nor https", "https://ops.internal/hook");
    let found = notify("webhook = 'http://u:s3cret@ops'");
    says(&found, "11:11", "a user has no place", "leave it out");
    let mail = |keys: &str| with(&format!("[notify.email]\n{keys}"));
    let found = mail("smtp = '127.0.0.1:25'\nfrom = 'a@b'\nto = ['c@d', 'e']");
    says(&found, "9:14", "error notify.email.to: \"e\" is not a mail address", "admin@company.com");
    let found = mail("smtp = '127.0.0.1:25'\nfrom = 'a@b'");
    says(&found, "6:9", "notify.email has no to", "add to = ");
    let found = mail("smtp = 'mail'\nfrom = 'a@b'\nto = 'c@d'");
    says(&found, "7:8", "notify.email.smtp: \"mail\" has no port", "mail.company.com:587");
    let login = "from = 'a@b'\nto = 'c@d'\nusername = 'u'\npassword = 's3cret'";
    let found = mail(&format!("smtp = 'mail:25'\ntls = 'off'\n{login}"));
    says(&found, "11:12", "warning notify.email: the password goes to mail in plain", "starttls");
    let found = mail("smtp = '127.0.0.1:25'\nfrom = 'a@b'\nto = 'c@d'\nusername = 'u'");
    says(&found, "10:12", "notify.email has a username, but no password", "password_file");
}

#[test]
fn a_word_of_keepalived_is_answered_with_what_it_is_called_here() {
    for (word, help) in [
        ("virtual_ipaddress = '10.0.0.9'", "it is addresses = [\"192.168.1.100/24\"] here"),
        ("state = 'MASTER'", "remove it: the priority decides"),
        ("advert_int = 1", "it is advertisement_interval"),
        ("nopreempt = true", "it is preempt = false here"),
    ] {
        says(&more(word), "10:1", "unknown key", help);
    }
}
