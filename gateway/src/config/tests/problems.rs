//! Each rule, with the place it is reported at and the advice that comes with it.

mod admin;
mod health;
mod http;
mod later;
mod routes;
mod sections;
mod strangers;
mod vrrp;

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
    let Problem { line, column, message, advice, severity, .. } = problem;
    let severity = if *severity == Severity::Error { "error" } else { "warning" };
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
    says(&found, "7:1", "unknown key \"drain_rat\" in gateway", "did you mean \"drain_rate\"?");
    let found = with("[gateway]\nxyz = 1");
    says(&found, "7:1", "error unknown key", "known here: drain_rate, drain_timeout");
    says(&with("[nodes]"), "6:2", "unknown key \"nodes\" at the top level", "known here: admin");
    let found = instead("address", "adress");
    says(&found, "5:1", "unknown key \"adress\"", "did you mean \"address\"?");
}

#[test]
fn values_of_the_wrong_type_are_errors_with_the_right_form() {
    let found = with("[gateway]\ndrain_rate = '200'");
    says(&found, "7:14", "must be a whole number, not a text", "write drain_rate = 200");
    let found = with("[gateway]\ndrain_timeout = 60");
    says(&found, "7:17", "must be a text in quotes", "write drain_timeout = \"1m\"");
    let found = with("[route]\nvhost = 'x'");
    says(&found, "6:2", "route must be a list", "write [[route]] with two brackets");
    let found = with("[[admin]]\nbind = '127.0.0.1:1'");
    says(&found, "6:3", "admin must be a section", "write a section [admin]");
    let found = with("[log]\naccess = 'yes'");
    says(&found, "7:10", "must be true or false", "write access = true");
    says(&instead("'192.168.1.10:5672'", "[1]"), "5:11", "not a list", "write address = ");
    says(&instead("'0.0.0.0:5672'", "[1]"), "2:9", "listener.amqp.bind.1 must be a text", "write");
}

#[test]
fn numbers_have_bounds() {
    for (value, column) in [("0", 14), ("-1", 14), ("1_000_001", 14), ("99999999999999999999", 14)]
    {
        let found = with(&format!("[gateway]\ndrain_rate = {value}"));
        says(&found, &format!("7:{column}"), "out of range", "a number from 1 to 1000000");
    }
}

#[test]
fn words_are_chosen_from_a_list() {
    let found = with("[log]\nlevel = 'loud'");
    says(&found, "7:9", "log.level cannot be \"loud\"", "write \"error\" or \"warn\" or");
    let found = with("[cluster.main]\nbalance = 'leastconnections'");
    says(&found, "7:11", "cannot be", "did you mean \"least-connections\"?");
    says(&with("[log]\nlevel = 3"), "7:9", "log.level", "write");
    says(&with("[log]\nlevel = true"), "7:9", "log.level", "write");
}

#[test]
fn what_a_section_needs_is_missed_at_its_name() {
    let found = instead("bind = '0.0.0.0:5672'", "");
    says(&found, "1:11", "listener.amqp has no bind", "add bind = \"0.0.0.0:5672\"");
    let found = instead("address = '192.168.1.10:5672'", "");
    says(&found, "4:20", "cluster.main.node.rabbit1 has no address", "add address = ");
    let found = instead(".node.rabbit1]\naddress = '192.168.1.10:5672'", "]");
    says(&found, "4:10", "cluster.main has no node", "add a section [cluster.main.node.NAME]");
    let found = only("");
    says(&found, "1:1", "there is no listener", "add a section [listener.NAME]");
    let found = instead(".rabbit1]\naddress = '192.168.1.10:5672'", "]");
    says(&found, "4:15", "cluster.main.node is empty", "fill it");
    says(&instead("'0.0.0.0:5672'", "[]"), "2:8", "listener.amqp.bind is an empty list", "fill it");
}

#[test]
fn an_unset_variable_is_an_error_at_its_place() {
    let found = instead("192.168.1.10", "${RABBIT}");
    says(&found, "5:11", "RABBIT is not set", "write $${RABBIT} for the text itself");
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
    assert_eq!(lines, [2, 3, 5, 6, 7, 9], "{found:#?}");
}

#[test]
fn a_long_or_strange_line_is_shown_around_its_place() {
    let filler = "x".repeat(5000);
    let text =
        format!("{SMALLEST}[[route]]\nreject = {{ code = 530, text = '{filler}', a\t= 1 }}\n");
    let shown: Vec<_> = problems(&text).iter().map(ToString::to_string).collect();
    assert!(
        shown.iter().flat_map(|shown| shown.lines()).all(|line| line.len() < 300),
        "{shown:#?}"
    );
    assert!(shown.iter().any(|shown| shown.contains("a = 1 }\n") && shown.contains(" ^\n")));
}
