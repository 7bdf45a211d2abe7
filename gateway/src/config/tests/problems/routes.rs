//! Rules that a schema cannot say: routes.

use super::{SMALLEST, in_one_line, problems, says, with};

#[test]
fn a_route_has_conditions_that_can_be_read_and_one_action() {
    let route = |lines: &str| with(&format!("[[route]]\n{lines}"));
    says(&route("vhost = 'a'"), "6:1", "route.1 says nothing", "add cluster");
    let found = route("cluster = 'main'\nreject = { code = 530, text = 'x' }");
    says(&found, "8:10", "has both cluster and reject", "keep one");
    says(&route("cluster = 'maim'"), "7:11", "no cluster \"maim\"", "did you mean \"main\"?");
    let found = route("listener = 'x'\ncluster = 'main'");
    says(&found, "7:12", "no listener \"x\"", "name one of: amqp");
    says(&route("vhost = '/(/'\ncluster = 'main'"), "7:9", "unclosed group", "a glob");
    says(&route("user = '{a'\ncluster = 'main'"), "7:8", "not a valid pattern", "a glob");
    let found = route("client_property = { product = '[' }\ncluster = 'main'");
    says(&found, "7:31", "route.1.client_property.product", "a glob");
    says(&route("source = ['10.0.0.0/99']\ncluster = 'main'"), "7:11", "not a network", "prefix");
    let found = route("source = '10.1.2.3/8'\ncluster = 'main'");
    says(&found, "7:10", "warning route.1.source: 10.1.2.3/8 is read as 10.0.0.0/8", "");
}

#[test]
fn a_refusal_fits_into_a_close() {
    let reject = |inner: &str| with(&format!("[[route]]\nvhost = 'x'\nreject = {{ {inner} }}"));
    let long = "x".repeat(256);
    let found = reject(&format!("code = 530, text = '{long}'"));
    says(&found, "8:31", "this text has 256 bytes, AMQP allows 255", "shorten");
    says(&reject("code = 299, text = 'x'"), "8:19", "out of range", "300 to 599");
    says(&reject("code = 531, text = 'x'"), "8:19", "warning", "530");
    says(&reject("code = 530"), "8:1", "route.1.reject has no text", "add text");
    let found = with(&format!("[[route]]\ncluster = 'main'\nrename_vhost = '{long}'"));
    says(&found, "8:16", "route.1.rename_vhost: this text has 256 bytes", "shorten");
    let found = with("[[route]]\nrename_vhost = 'v'\nreject = { code = 530, text = 'x' }");
    says(&found, "7:16", "rename_vhost, which has no effect", "remove it");
}

#[test]
fn a_route_after_one_that_takes_everything_is_warned_of() {
    let after = |first: &str, second: &str| {
        problems(&format!(
            "{SMALLEST}[[route]]\n{first}\ncluster = 'main'\n[[route]]\n{second}\ncluster = 'main'\n"
        ))
    };
    let found = after("", "vhost = 'a'");
    let message = "route.2 never matches: the route in line 6 takes all of its sessions";
    says(&in_one_line(&found[0]), "9:1", message, "move it up");
    assert_eq!(after("vhost = 'a'", "vhost = 'a'\nuser = 'u'").len(), 1);
    assert_eq!(after("source = '10.0.0.0/8'", "source = '10.1.0.0/16'").len(), 1);
    for (first, second) in [
        ("vhost = 'a'", "vhost = 'b'"),
        ("vhost = 'a'\nuser = 'u'", "vhost = 'a'"),
        ("source = '10.1.0.0/16'", "source = '10.0.0.0/8'"),
        ("client_property = { product = 'a' }", "client_property = { product = 'b' }"),
    ] {
        assert_eq!(after(first, second), [], "{first} / {second}");
    }
}

#[test]
fn a_route_that_asks_a_named_listener_for_what_is_never_told_there_is_warned_of() {
    let route = |protocol: &str, tls: &str, condition: &str| {
        let listener = format!("[listener.x]\nbind = '0.0.0.0:7'\n{protocol}\n{tls}\n");
        let route = format!("[[route]]\nlistener = 'x'\n{condition}\ncluster = 'main'\n");
        let found = problems(&format!("{SMALLEST}{listener}{route}"));
        found.iter().map(in_one_line).collect::<Vec<_>>()
    };
    let tcp = "protocol = 'tcp'\nnode_port = 1883";
    let passthrough = "protocol = 'tls-passthrough'";
    for condition in ["vhost = 'a'", "user = 'u'", "client_property = { product = 'p' }"] {
        assert_eq!(route("", "", condition), [""; 0]);
        let key = condition.split(' ').next().expect("a key");
        for protocol in [tcp, passthrough] {
            let found = route(protocol, "", condition);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].contains(&format!("route.1.{key} never holds: listener x")),
                "{found:?}"
            );
            assert!(found[0].contains("remove it: here routes go by source"), "{found:?}");
        }
    }
    let found = route(passthrough, "", "rename_vhost = 'b'");
    assert!(found[0].contains("route.1.rename_vhost cannot be done"), "{found:?}");

    let sni = "sni = 'a.test'";
    let asking = "tls.certificates = [{ bundle = 'x' }]\ntls.client_auth = 'required'\n\
                  tls.client_ca = 'y'";
    let found = route("", "", sni);
    assert!(found[0].contains("route.1.sni never holds: listener x has no TLS"), "{found:?}");
    let proxied = "proxy_protocol = 'required'\ntrusted_proxies = ['10.0.0.0/8']";
    for (protocol, tls) in [(passthrough, ""), ("", asking), (tcp, asking), (proxied, "")] {
        assert_eq!(route(protocol, tls, sni), [""; 0], "{protocol}");
    }
    let name = "common_name = 'a'";
    assert_eq!(route(tcp, asking, name), [""; 0]);
    for (protocol, tls) in [("", ""), ("", "tls.certificates = [{ bundle = 'x' }]")] {
        let found = route(protocol, tls, name);
        assert!(
            found[0].contains("asks for no certificate; remove it, or add client_auth"),
            "{found:?}"
        );
    }
    let found = route(passthrough, "", name);
    assert!(found[0].contains("leaves certificates to the nodes; remove it"), "{found:?}");
}
