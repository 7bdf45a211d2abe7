//! Rules that a schema cannot say: health, admission, management.

use super::{SMALLEST, only, problems, says, with};

/// Problem of a health section, whose lines begin with line 7.
fn health(lines: &str) -> String {
    with(&format!("[cluster.main.health]\n{lines}"))
}

const LOGIN: &str = "username = 'u'\npassword = 'p'";

#[test]
fn a_check_has_what_it_needs() {
    for check in ["amqp", "channel-roundtrip", "management"] {
        let found = health(&format!("checks = ['tcp', '{check}']"));
        let message = format!("error cluster.main.health.checks: {check} needs a username");
        says(&found, "7:18", &message, "add username and password_file");
    }
    let found = health(&format!("{LOGIN}\nchecks = ['management']"));
    says(&found, "9:11", "management needs the management address of a node", "add management = ");
    says(&health("checks = ['script']"), "7:11", "script needs a script", "add script = ");
    says(&health("checks = ['tcp', 'tcp']"), "7:18", "warning", "remove one of the two");
    let found = health("checks = ['ampq']");
    says(&found, "7:11", "checks.1 cannot be \"ampq\"", "did you mean \"amqp\"?");
}

#[test]
fn what_no_check_uses_is_warned_of() {
    let found = health("script = { command = ['x'] }");
    says(&found, "7:10", "warning cluster.main.health.script has no effect", "add \"script\"");
    says(&health("queue = 'x'"), "7:9", "has no effect", "add \"channel-roundtrip\" to checks");
    let text = SMALLEST.to_owned() + "management = 'http://a:1'\n";
    says(&only(&text), "6:14", "warning cluster.main: management is not asked", "add username");
}

#[test]
fn a_user_has_a_password_and_a_password_a_user() {
    let found = health("password = 'p'");
    says(&found, "7:12", "error cluster.main.health has a password, but no username", "add");
    let found = health("username = 'u'");
    says(&found, "7:12", "has a username, but no password", "add password_file = ");
    let found = health(&format!("{LOGIN}\npassword_file = '/run/password'"));
    says(&found, "9:17", "has both password and password_file", "keep one");
}

#[test]
fn a_password_file_holds_a_password() {
    let found = health("username = 'u'\npassword_file = '/run/empty'");
    says(&found, "8:17", "\"/run/empty\" cannot be used: it is empty", "name a file");
    let found = health("username = 'u'\npassword_file = '/run/none'");
    says(&found, "8:17", "cannot be used: entity not found", "this user may read");
}

#[test]
fn a_user_whom_distant_nodes_refuse_is_warned_of() {
    let guest = "username = 'guest'\npassword = 'guest'";
    let found = health(guest);
    says(&found, "7:12", "warning cluster.main.health.username: node rabbit1 lets guest", "user");
    let section = format!("[cluster.main.health]\n{guest}\n");
    let near = SMALLEST.replace("192.168.1.10:5672", "127.0.0.1:5673");
    let near = near.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(problems(&format!("{near}{section}")), []);
    let open = format!("{SMALLEST}{section}[cluster.main]\nloopback_users = []\n");
    assert_eq!(problems(&open), []);
}

#[test]
fn intervals_fit_together() {
    let found = health("interval = '1s'\ntimeout = '1500ms'");
    says(&found, "8:11", "warning cluster.main.health.timeout is longer than the interval", "late");
    let found = health("fast_interval = '4s'");
    says(&found, "7:17", "fast_interval is longer than the interval, 3s", "shorter");
    says(&health("interval = '1ms'"), "7:12", "out of range", "from 10ms to 1h");
    says(&health("fall = 0"), "7:8", "out of range", "from 1 to 1000");
}

#[test]
fn passive_is_off_or_a_table() {
    says(&health("passive = 'on'"), "7:11", "passive cannot be \"on\"", "write \"off\", or {");
    says(&health("passive = 3"), "7:11", "must be a text in quotes or a section", "write");
    says(&health("passive = { failure = 3 }"), "7:13", "unknown key", "\"failures\"?");
    says(&health("passive = { within = '2' }"), "7:22", "passive.within: \"2\" is not", "unit");
}

#[test]
fn scripts_and_queues_can_be_used() {
    let script = |inner: &str| health(&format!("checks = ['script']\nscript = {{ {inner} }}"));
    says(&script("timeout = '1s'"), "8:1", "script has no command", "add command = [");
    says(&script("command = []"), "8:22", "command is an empty list", "fill it");
    says(&script("command = ['']"), "8:23", "script.command: this text is empty", "fill it");
    says(&script("command = ['a', \"\\u0000\"]"), "8:28", "NUL", "printable");
    let found = health(&format!("{LOGIN}\nchecks = ['channel-roundtrip']\nqueue = 'amq.x'"));
    says(&found, "10:9", "brokers keep for themselves", "\"amq.\"");
}

#[test]
fn admission_has_a_rate_and_bounds() {
    let found = with("[cluster.main]\nadmission = { queue = 3 }");
    says(&found, "7:1", "cluster.main.admission has no rate", "add rate = 500");
    let found = with("[cluster.main]\nadmission = { rate = 0 }");
    says(&found, "7:22", "out of range", "from 1 to 1000000");
    let found = with("[cluster.main]\nadmission = { rate = 5, wait = '2h' }");
    says(&found, "7:32", "admission.wait: \"2h\" is out of range", "from 1ms to 1h");
    let found = with("[cluster.main]\nbalance = 'first'\nslow_start = '1s'");
    says(&found, "8:14", "warning cluster.main.slow_start has no effect", "remove it");
}

#[test]
fn no_problem_shows_a_secret() {
    let texts = [
        "password = 's3cret'",
        "password = 's3cret', nonsense = 1",
        "{ password = 's3cret', rise = 'x' }",
        "password = s3cret",
        "password = \"s3cret\nrise = 2",
        "password = \"\"\"\ns3cret\\q\"\"\"",
        "password = 'a${s3cret}'",
        "password = 'a${s3cret !}'",
        "password = ['s3cret']",
        "passive = { password = 's3cret' }",
    ];
    for text in texts {
        let section = match text.starts_with('{') {
            true => format!("[cluster.main]\nhealth = {text}"),
            false => format!("[cluster.main.health]\n{text}"),
        };
        let found = problems(&format!("{SMALLEST}{section}\n"));
        assert!(!found.is_empty(), "{text}");
        for problem in found {
            assert!(!format!("{problem} {problem:?}").contains("s3cret"), "{text}\n{problem}");
        }
    }
    for node in ["management = 'http://u:s3cret@h:1'", "address = 'amqp://u:s3cret@h:1'"] {
        let found = problems(&format!("{SMALLEST}[cluster.main.node.x]\n{node}\n"));
        assert!(!found.is_empty() && !format!("{found:?}").contains("s3cret"), "{found:#?}");
    }
}

#[test]
fn an_unset_variable_is_named_where_it_is_the_whole_password() {
    let found = health("username = 'u'\npassword = '${RABBIT_PASSWORD}'");
    says(&found, "8:12", "the environment variable RABBIT_PASSWORD is not set", "set");
}
