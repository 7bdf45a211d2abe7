//! Rules that a schema cannot say: gateway, log, listener, cluster.

use super::{SMALLEST, instead, only, problems, says, with};

#[test]
fn names_must_exist_where_they_are_used() {
    let found = instead("cluster = 'main'", "cluster = 'mian'");
    says(&found, "3:11", "error listener.amqp.cluster: there is no cluster \"mian\"", "\"main\"?");
    let found = instead("cluster = 'main'", "cluster = 'blue'");
    says(&found, "3:11", "there is no cluster \"blue\"", "name one of: main; or add");
    let found = only("[listener.amqp]\nbind = '127.0.0.1:1'\ncluster = 'main'");
    says(&found, "3:11", "there is no cluster \"main\"", "add a section [cluster.main]");
}

#[test]
fn an_address_is_bound_once() {
    let found = with("[listener.b]\nbind = '0.0.0.0:5672'\ncluster = 'main'");
    says(&found, "7:8", "error listener.b.bind: 0.0.0.0:5672 is bound in line 2", "another");
    let local = SMALLEST.replace("0.0.0.0:5672", "127.0.0.1:5672");
    let found = only(&format!("{local}[admin]\nbind = '127.0.0.1:5672'\n"));
    says(&found, "7:8", "error admin.bind: 127.0.0.1:5672 is bound in line 2", "another");
    let found = with("[admin]\nbind = '127.0.0.1:5672'");
    says(&found, "7:8", "warning admin.bind: 127.0.0.1:5672 overlaps", "either all");
    let other_family = format!("{SMALLEST}[admin]\nbind = '[::1]:5672'\n");
    assert_eq!(problems(&other_family), []);
    says(&instead("0.0.0.0:5672", "0.0.0.0:0"), "2:8", "warning listener.amqp.bind: port 0", "");
}

#[test]
fn a_node_that_is_a_listener_or_another_node_is_warned_of() {
    let found =
        only(&SMALLEST.replace("192.168.1.10", "127.0.0.1").replace("0.0.0.0", "127.0.0.1"));
    says(&found, "5:11", "warning", "write the address of the RabbitMQ node");
    let found = with("[cluster.main.node.b]\naddress = '192.168.1.10:5672'");
    says(&found, "7:11", "warning cluster.main.node.b.address: 192.168.1.10:5672 is the node", "");
}

#[test]
fn a_node_to_which_strangers_look_local_is_warned_of() {
    for node in ["127.0.0.1:5673", "[::1]:5673", "localhost:5673"] {
        let found = instead("192.168.1.10:5672", node);
        says(&found, "5:11", "warning cluster.main: to the node at", "refuses guest and anonymous");
        let text = SMALLEST.replace("192.168.1.10:5672", node);
        assert_eq!(problems(&text.replace("0.0.0.0", "127.0.0.1")), [], "all clients are local");
        assert_eq!(problems(&format!("{text}[cluster.main]\nloopback_users = []\n")), []);
    }
}

#[test]
fn sections_that_lead_nowhere_are_warned_of() {
    let found = with("[listener.b]\nbind = '127.0.0.1:1'");
    says(&found, "6:11", "warning listener.b has no cluster", "add cluster");
    let found = with("[cluster.spare.node.a]\naddress = 'a:1'");
    says(&found, "6:10", "warning cluster.spare is not used", "name it");
}

#[test]
fn names_are_plain() {
    let found = with("[cluster.main.node.'a b']\naddress = 'a:1'");
    says(&found, "6:20", "\"a b\" is not a valid name", "1 to 64 of the characters");
    says(&with("[gateway]\nname = ''"), "7:8", "is not a valid name", "");
}

#[test]
fn durations_have_units_and_bounds() {
    let found = with("[gateway]\nhandshake_timeout = '10'");
    says(&found, "7:21", "\"10\" is not a duration", "\"500ms\"");
    let found = with("[gateway]\nhandshake_timeout = '2h'");
    says(&found, "7:21", "out of range", "from 1ms to 1h");
    says(&with("[gateway]\nidle_timeout = 'none'"), "7:16", "not a duration", "or \"off\"");
    says(&with("[gateway]\nhandshake_timeout = 'off'"), "7:21", "not a duration", "");
}

#[test]
fn log_outputs_come_with_their_key() {
    let found = with("[log]\noutput = 'file'");
    says(&found, "7:10", "log.output = \"file\" needs log.file", "add file = ");
    let found = with("[log]\nsyslog = '127.0.0.1:514'");
    says(&found, "7:10", "warning log.syslog has no effect", "write output = \"syslog\"");
    let found = with("[log]\noutput = 'syslog'\nsyslog = 'loghost'");
    says(&found, "8:10", "error log.syslog: \"loghost\" is not an IP address", "write both");
    let found = with("[gateway]\ngroup = 'g'");
    says(&found, "7:9", "error gateway.group has no effect", "add user");
}

#[test]
fn each_version_of_tls_that_may_be_spoken_needs_a_cipher_suite() {
    let text = |keys: &str| {
        format!(
            "[listener.amqps]\nbind = '0.0.0.0:5671'\ncluster = 'main'\n[listener.amqps.tls]\n\
             certificates = [{{ bundle = 'x.pem' }}]\n{keys}\n"
        )
    };
    let tls = |keys: &str| with(&text(keys));
    let found = tls("cipher_suites = ['TLS_RSA_WITH_AES_128_CBC_SHA']");
    says(&found, "11:18", "there is no cipher suite \"TLS_RSA_WITH", "TLS_AES_128_GCM_SHA256, ");
    let found = tls("cipher_suites = ['TLS_AES_128_GCM_SHA265']");
    says(&found, "11:18", "there is no cipher suite", "did you mean \"TLS_AES_128_GCM_SHA256\"?");
    let found = tls("cipher_suites = ['TLS_AES_128_GCM_SHA256']");
    says(
        &found,
        "11:18",
        "has none of TLS 1.2",
        "min_version = \"1.3\", or add some of: TLS_ECDHE",
    );
    let found = tls("cipher_suites = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']");
    says(&found, "11:18", "has none of TLS 1.3", "add some of: TLS_AES_128_GCM_SHA256, ");
    let both = "['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256']";
    let fine = |keys: &str| assert_eq!(problems(&format!("{SMALLEST}{}", text(keys))), []);
    fine(&format!("cipher_suites = {both}"));
    fine("min_version = '1.3'\ncipher_suites = ['TLS_AES_128_GCM_SHA256']");
}
