//! Each rule, with the place it is reported at and the advice that comes with it.

use super::{SMALLEST, read};
use crate::config::diagnostic::{Problem, Severity};

fn problems(text: &str) -> Vec<Problem> {
    match read(text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    }
}

/// The only problem of a text, as `LINE:COLUMN SEVERITY MESSAGE; ADVICE`.
fn only(text: &str) -> String {
    let problems = problems(text);
    let lines: Vec<_> = problems.iter().map(in_one_line).collect();
    assert_eq!(lines.len(), 1, "{text}\n{lines:#?}");
    lines.concat()
}

fn in_one_line(problem: &Problem) -> String {
    let Problem {
        line,
        column,
        message,
        advice,
        severity,
        ..
    } = problem;
    let severity = if *severity == Severity::Error {
        "error"
    } else {
        "warning"
    };
    format!("{line}:{column} {severity} {message}; {advice}")
}

/// The smallest file with more lines at its end, which begin in line 6.
fn with(more: &str) -> String {
    only(&format!("{SMALLEST}{more}\n"))
}

/// The smallest file with one part replaced.
fn instead(of: &str, new: &str) -> String {
    assert!(SMALLEST.contains(of));
    only(&SMALLEST.replace(of, new))
}

#[track_caller]
fn says(found: &str, place: &str, message: &str, advice: &str) {
    assert!(found.starts_with(&format!("{place} ")), "{found}");
    assert!(found.contains(message) && found.contains(advice), "{found}");
}

#[test]
fn unknown_keys_are_errors_with_the_likely_one() {
    let found = with("[gateway]\ndrain_rat = 1");
    says(
        &found,
        "7:1",
        "unknown key \"drain_rat\" in gateway",
        "did you mean \"drain_rate\"?",
    );
    let found = with("[gateway]\nxyz = 1");
    says(
        &found,
        "7:1",
        "error unknown key",
        "known here: drain_rate, drain_timeout",
    );
    says(
        &with("[nodes]"),
        "6:2",
        "unknown key \"nodes\" at the top level",
        "known here: admin",
    );
    let found = instead("address", "adress");
    says(
        &found,
        "5:1",
        "unknown key \"adress\"",
        "did you mean \"address\"?",
    );
}

#[test]
fn values_of_the_wrong_type_are_errors_with_the_right_form() {
    let found = with("[gateway]\ndrain_rate = '200'");
    says(
        &found,
        "7:14",
        "must be a whole number, not a text",
        "write drain_rate = 200",
    );
    let found = with("[gateway]\ndrain_timeout = 60");
    says(
        &found,
        "7:17",
        "must be a text in quotes",
        "write drain_timeout = \"1m\"",
    );
    let found = with("[route]\nvhost = 'x'");
    says(
        &found,
        "6:2",
        "route must be a list",
        "write [[route]] with two brackets",
    );
    let found = with("[[admin]]\nbind = '127.0.0.1:1'");
    says(
        &found,
        "6:3",
        "admin must be a section",
        "write a section [admin]",
    );
    let found = with("[log]\naccess = 'yes'");
    says(
        &found,
        "7:10",
        "must be true or false",
        "write access = true",
    );
    says(
        &instead("'192.168.1.10:5672'", "[1]"),
        "5:11",
        "not a list",
        "write address = ",
    );
    says(
        &instead("'0.0.0.0:5672'", "[1]"),
        "2:9",
        "listener.amqp.bind.1 must be a text",
        "write",
    );
}

#[test]
fn numbers_have_bounds() {
    for (value, column) in [
        ("0", 14),
        ("-1", 14),
        ("1_000_001", 14),
        ("99999999999999999999", 14),
    ] {
        let found = with(&format!("[gateway]\ndrain_rate = {value}"));
        says(
            &found,
            &format!("7:{column}"),
            "out of range",
            "a number from 1 to 1000000",
        );
    }
}

#[test]
fn words_are_chosen_from_a_list() {
    let found = with("[log]\nlevel = 'loud'");
    says(
        &found,
        "7:9",
        "log.level cannot be \"loud\"",
        "write \"error\" or \"warn\" or",
    );
    let found = with("[cluster.main]\nbalance = 'leastconnections'");
    says(
        &found,
        "7:11",
        "cannot be",
        "did you mean \"least-connections\"?",
    );
    says(&with("[log]\nlevel = 3"), "7:9", "log.level", "write");
    says(&with("[log]\nlevel = true"), "7:9", "log.level", "write");
}

#[test]
fn what_a_section_needs_is_missed_at_its_name() {
    let found = instead("bind = '0.0.0.0:5672'", "");
    says(
        &found,
        "1:11",
        "listener.amqp has no bind",
        "add bind = \"0.0.0.0:5672\"",
    );
    let found = instead("address = '192.168.1.10:5672'", "");
    says(
        &found,
        "4:20",
        "cluster.main.node.rabbit1 has no address",
        "add address = ",
    );
    let found = instead(".node.rabbit1]\naddress = '192.168.1.10:5672'", "]");
    says(
        &found,
        "4:10",
        "cluster.main has no node",
        "add a section [cluster.main.node.NAME]",
    );
    let found = only("");
    says(
        &found,
        "1:1",
        "there is no listener",
        "add a section [listener.NAME]",
    );
    let found = instead(".rabbit1]\naddress = '192.168.1.10:5672'", "]");
    says(&found, "4:15", "cluster.main.node is empty", "fill it");
    says(
        &instead("'0.0.0.0:5672'", "[]"),
        "2:8",
        "listener.amqp.bind is an empty list",
        "fill it",
    );
}

#[test]
fn names_must_exist_where_they_are_used() {
    let found = instead("cluster = 'main'", "cluster = 'mian'");
    says(
        &found,
        "3:11",
        "error listener.amqp.cluster: there is no cluster \"mian\"",
        "\"main\"?",
    );
    let found = instead("cluster = 'main'", "cluster = 'blue'");
    says(
        &found,
        "3:11",
        "there is no cluster \"blue\"",
        "name one of: main; or add",
    );
    let found = only("[listener.amqp]\nbind = '127.0.0.1:1'\ncluster = 'main'");
    says(
        &found,
        "3:11",
        "there is no cluster \"main\"",
        "add a section [cluster.main]",
    );
}

#[test]
fn an_unset_variable_is_an_error_at_its_place() {
    let found = instead("192.168.1.10", "${RABBIT}");
    says(
        &found,
        "5:11",
        "RABBIT is not set",
        "write $${RABBIT} for the text itself",
    );
}

#[test]
fn an_address_is_bound_once() {
    let found = with("[listener.b]\nbind = '0.0.0.0:5672'\ncluster = 'main'");
    says(
        &found,
        "7:8",
        "error listener.b.bind: 0.0.0.0:5672 is bound in line 2",
        "another",
    );
    let found = with("[admin]\nbind = '0.0.0.0:5672'");
    says(
        &found,
        "7:8",
        "error admin.bind: 0.0.0.0:5672 is bound in line 2",
        "another",
    );
    let found = with("[admin]\nbind = '127.0.0.1:5672'");
    says(
        &found,
        "7:8",
        "warning admin.bind: 127.0.0.1:5672 overlaps",
        "either all",
    );
    let other_family = format!("{SMALLEST}[admin]\nbind = '[::]:5672'\n");
    assert_eq!(problems(&other_family), []);
    says(
        &instead("0.0.0.0:5672", "0.0.0.0:0"),
        "2:8",
        "warning listener.amqp.bind: port 0",
        "",
    );
}

#[test]
fn a_node_that_is_a_listener_or_another_node_is_warned_of() {
    let found = instead("192.168.1.10", "127.0.0.1");
    says(
        &found,
        "5:11",
        "warning",
        "write the address of the RabbitMQ node",
    );
    let found = with("[cluster.main.node.b]\naddress = '192.168.1.10:5672'");
    says(
        &found,
        "7:11",
        "warning cluster.main.node.b.address: 192.168.1.10:5672 is the node",
        "",
    );
}

#[test]
fn sections_that_lead_nowhere_are_warned_of() {
    let found = with("[listener.b]\nbind = '127.0.0.1:1'");
    says(
        &found,
        "6:11",
        "warning listener.b has no cluster",
        "add cluster",
    );
    let found = with("[cluster.spare.node.a]\naddress = 'a:1'");
    says(
        &found,
        "6:10",
        "warning cluster.spare is not used",
        "name it",
    );
}

#[test]
fn names_are_plain() {
    let found = with("[cluster.main.node.'a b']\naddress = 'a:1'");
    says(
        &found,
        "6:20",
        "\"a b\" is not a valid name",
        "1 to 64 of the characters",
    );
    says(
        &with("[gateway]\nname = ''"),
        "7:8",
        "is not a valid name",
        "",
    );
}

#[test]
fn durations_have_units_and_bounds() {
    let found = with("[gateway]\nhandshake_timeout = '10'");
    says(&found, "7:21", "\"10\" is not a duration", "\"500ms\"");
    let found = with("[gateway]\nhandshake_timeout = '2h'");
    says(&found, "7:21", "out of range", "from 1ms to 1h");
    says(
        &with("[gateway]\nidle_timeout = 'none'"),
        "7:16",
        "not a duration",
        "or \"off\"",
    );
    says(
        &with("[gateway]\nhandshake_timeout = 'off'"),
        "7:21",
        "not a duration",
        "",
    );
}

#[test]
fn log_outputs_come_with_their_key() {
    let found = with("[log]\noutput = 'file'");
    says(
        &found,
        "7:10",
        "log.output = \"file\" needs log.file",
        "add file = ",
    );
    let found = with("[log]\nsyslog = '127.0.0.1:514'");
    says(
        &found,
        "7:10",
        "warning log.syslog has no effect",
        "write output = \"syslog\"",
    );
    let found = with("[log]\noutput = 'syslog'\nsyslog = 'loghost'");
    says(
        &found,
        "8:10",
        "error log.syslog: \"loghost\" is not an IP address",
        "write both",
    );
    let found = with("[gateway]\ngroup = 'g'");
    says(
        &found,
        "7:9",
        "error gateway.group has no effect",
        "add user",
    );
}

#[test]
fn a_route_has_conditions_that_can_be_read_and_one_action() {
    let route = |lines: &str| with(&format!("[[route]]\n{lines}"));
    says(
        &route("vhost = 'a'"),
        "6:1",
        "route.1 says nothing",
        "add cluster",
    );
    let found = route("cluster = 'main'\nreject = { code = 530, text = 'x' }");
    says(&found, "8:10", "has both cluster and reject", "keep one");
    says(
        &route("cluster = 'maim'"),
        "7:11",
        "no cluster \"maim\"",
        "did you mean \"main\"?",
    );
    let found = route("listener = 'x'\ncluster = 'main'");
    says(&found, "7:12", "no listener \"x\"", "name one of: amqp");
    says(
        &route("vhost = '/(/'\ncluster = 'main'"),
        "7:9",
        "unclosed group",
        "a glob",
    );
    says(
        &route("user = '{a'\ncluster = 'main'"),
        "7:8",
        "not a valid pattern",
        "a glob",
    );
    let found = route("client_property = { product = '[' }\ncluster = 'main'");
    says(&found, "7:31", "route.1.client_property.product", "a glob");
    says(
        &route("source = ['10.0.0.0/99']\ncluster = 'main'"),
        "7:11",
        "not a network",
        "prefix",
    );
    let found = route("source = '10.1.2.3/8'\ncluster = 'main'");
    says(
        &found,
        "7:10",
        "warning route.1.source: 10.1.2.3/8 is read as 10.0.0.0/8",
        "",
    );
}

#[test]
fn a_refusal_fits_into_a_close() {
    let reject = |inner: &str| with(&format!("[[route]]\nvhost = 'x'\nreject = {{ {inner} }}"));
    let long = "x".repeat(256);
    let found = reject(&format!("code = 530, text = '{long}'"));
    says(
        &found,
        "8:31",
        "this text has 256 bytes, AMQP allows 255",
        "shorten",
    );
    says(
        &reject("code = 299, text = 'x'"),
        "8:19",
        "out of range",
        "300 to 599",
    );
    says(&reject("code = 531, text = 'x'"), "8:19", "warning", "530");
    says(
        &reject("code = 530"),
        "8:1",
        "route.1.reject has no text",
        "add text",
    );
    let found = with(&format!(
        "[[route]]\ncluster = 'main'\nrename_vhost = '{long}'"
    ));
    says(
        &found,
        "8:16",
        "route.1.rename_vhost: this text has 256 bytes",
        "shorten",
    );
    let found = with("[[route]]\nrename_vhost = 'v'\nreject = { code = 530, text = 'x' }");
    says(
        &found,
        "7:16",
        "rename_vhost has no effect with reject",
        "remove it",
    );
}

#[test]
fn a_route_after_one_that_takes_everything_is_warned_of() {
    let after = |first: &str, second: &str| {
        problems(&format!(
            "{SMALLEST}[[route]]\n{first}\ncluster = 'main'\n[[route]]\n{second}\ncluster = 'main'\n"
        ))
    };
    let found = after("", "vhost = 'a'");
    let expected =
        "9:1 warning route.2 never matches: the route in line 6 takes all of its sessions";
    assert!(in_one_line(&found[0]).starts_with(expected), "{found:?}");
    assert_eq!(after("vhost = 'a'", "vhost = 'a'\nuser = 'u'").len(), 1);
    assert_eq!(
        after("source = '10.0.0.0/8'", "source = '10.1.0.0/16'").len(),
        1
    );
    for (first, second) in [
        ("vhost = 'a'", "vhost = 'b'"),
        ("vhost = 'a'\nuser = 'u'", "vhost = 'a'"),
        ("source = '10.1.0.0/16'", "source = '10.0.0.0/8'"),
        (
            "client_property = { product = 'a' }",
            "client_property = { product = 'b' }",
        ),
    ] {
        assert_eq!(after(first, second), [], "{first} / {second}");
    }
}

#[test]
fn syntax_errors_have_a_place_and_advice() {
    let found = instead("'main'", "main");
    says(&found, "3:11", "error", "double quotes");
    let found = only("[listener.amqp]\nbind = 'x'\nbind = 'y'\n");
    says(&found, "3:1", "duplicate key", "keep one of the two");
    says(&only("[listener.amqp\n"), "1:15", "error", "brackets");
}

#[test]
fn all_problems_are_reported_at_once_in_the_order_of_the_file() {
    let text = "[gateway]\nworkers = 'x'\nnope = 1\n[listener.amqp]\nbind = 'y'\ncluster = 'z'\n\
                [listener.amqp.tls]\n[cluster.main.node.a]\naddress = 'a'\n";
    let found = problems(text);
    let lines: Vec<_> = found.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 3, 5, 6, 7, 8, 9], "{found:#?}");
}

#[test]
fn what_belongs_to_a_later_build_is_refused_as_such() {
    let sections = [
        "[limits.batch]\nconnections = 1",
        "[[limit]]\nper = 'vhost'",
        "[vrrp.amqp]\nversion = 3",
        "[notify.email]\nsmtp = 'x'",
        "[listener.amqp]\nprotocol = 'http'",
        "[listener.amqp]\nprotocol = 'tcp'",
        "[listener.amqp]\nprotocol = 'tls-passthrough'",
        "[listener.amqp]\nproxy_protocol = 'optional'",
        "[listener.amqp]\nproxy_protocol = 'required'",
        "[listener.amqp]\ntrusted_proxies = []",
        "[listener.amqp]\ntls.certificates = []",
        "[listener.amqp]\nbalance = 'uri-hash'",
        "[listener.amqp]\nredirect_to_https = 1",
        "[listener.amqp]\nnode_port = 1883",
        "[[route]]\nsni = 'x'",
        "[[route]]\nlimits = 'x'",
        "[cluster.main]\nbalance = 'source-hash'",
        "[cluster.main]\nbalance = 'vhost-hash'",
        "[cluster.main]\nbalance = 'first'",
        "[cluster.main]\nslow_start = '30s'",
        "[cluster.main]\nproxy_protocol = 'v1'",
        "[cluster.main]\nproxy_protocol = 'v2'",
        "[cluster.main]\nadmission = {}",
        "[cluster.main]\nrebalance = 'auto'",
        "[cluster.main]\nrebalance_rate = 1",
        "[cluster.main.tls]\nca = 'x'",
        "[cluster.main.health]\nrise = 2",
        "[cluster.main.node.a]\nmanagement = 'x'",
        "[admin]\ntls.certificates = []",
        "[admin]\nmetrics_auth = true",
        "[[admin.user]]\nname = 'x'",
    ];
    for section in sections {
        let text = SMALLEST.replace("[listener.amqp]\n", "[listener.other]\n") + section + "\n";
        let found = problems(&text);
        let refused = found
            .iter()
            .filter(|p| p.message.ends_with(": not available in this build"))
            .count();
        assert_eq!(refused, 1, "{section}\n{found:#?}");
        assert!(
            !found.iter().any(|p| p.message.contains("unknown")),
            "{section}\n{found:#?}"
        );
    }
}

#[test]
fn a_long_or_strange_line_is_shown_around_its_place() {
    let filler = "x".repeat(5000);
    let text =
        format!("{SMALLEST}[[route]]\nreject = {{ code = 530, text = '{filler}', a\t= 1 }}\n");
    let shown: Vec<_> = problems(&text).iter().map(ToString::to_string).collect();
    assert!(
        shown
            .iter()
            .flat_map(|shown| shown.lines())
            .all(|line| line.len() < 300),
        "{shown:#?}"
    );
    assert!(
        shown
            .iter()
            .any(|shown| shown.contains("a = 1 }\n") && shown.contains(" ^\n"))
    );
}
