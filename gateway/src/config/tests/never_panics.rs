//! No input makes the configuration reader panic, hang or overflow its stack.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{SMALLEST, read, secrets};
use crate::config::{Environment, decode, parse};

const SEED: &str = include_str!("full.toml");

/// Pieces that mean something to one of the stages.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "\n",
    "\\",
    "\t",
    "-",
    "0",
    "99999999999999999999",
    "0x",
    "1.5",
    "nan",
    "true",
    "1979-05-27",
    "${",
    "$${",
    "${NODE}",
    "\u{feff}",
    "ü",
    "\u{0}",
    "\r",
    "off",
    "route",
    "node",
    "cluster",
    "limits",
    "/",
    "(",
    "*",
    "::",
];

fn check(bytes: &[u8]) {
    let environment = Environment { variable: &|_| None, file: &secrets, host_name: String::new() };
    match decode(bytes.to_vec(), "gateway.toml")
        .and_then(|text| parse(&text, "gateway.toml", &environment))
    {
        Ok((_, warnings)) => assert!(warnings.iter().all(|problem| !problem.is_error())),
        Err(problems) => {
            assert!(problems.iter().any(super::super::Problem::is_error));
            let lines = bytes.split(|byte| *byte == b'\n').count();
            for problem in problems {
                assert!((1..=lines).contains(&problem.line) && problem.column >= 1);
                assert!(!problem.message.is_empty() && !problem.advice.is_empty());
                let shown = problem.to_string();
                assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(bytes in vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn mutations_of_a_good_file_are_answered(
        changes in vec((0..SEED.len(), 0..20_usize, 0..PIECES.len()), 1..6),
    ) {
        let mut bytes = SEED.as_bytes().to_vec();
        for (at, cut, piece) in changes {
            let start = at.min(bytes.len());
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, PIECES[piece].bytes());
        }
        check(&bytes);
    }

    #[test]
    fn values_of_any_kind_are_answered(
        line in 0..SEED.lines().count(),
        value in "[ -~]{0,12}|\"[^\"\\\\\n]{0,40}\"|-?[0-9]{1,22}",
    ) {
        let replace = |(number, text): (usize, &str)| match text.split_once(" = ") {
            Some((key, _)) if number == line => format!("{key} = {value}\n"),
            _ => format!("{text}\n"),
        };
        check(SEED.lines().enumerate().map(replace).collect::<String>().as_bytes());
    }
}

proptest! {
    #[test]
    fn patterns_of_any_kind_are_answered(pattern in "[-a/*?\\[\\]{},!^()|+.\\\\üß]{0,40}") {
        check(format!("{SMALLEST}[[route]]\nvhost = '{pattern}'\ncluster = 'main'\n").as_bytes());
        check(format!("{SMALLEST}[[route]]\nvhost = '/{pattern}/'\ncluster = 'main'\n").as_bytes());
    }
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a=", "}"), ("a.", "")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        check(format!("x = {deep}").as_bytes());
        check(format!("{deep} = 1").as_bytes());
        check(format!("[{deep}]").as_bytes());
    }
}

#[test]
fn a_text_that_is_not_utf_8_is_refused_at_its_place() {
    let problems = decode(b"[log]\nlevel = \"\xff\"\n".to_vec(), "f").unwrap_err();
    assert_eq!((problems[0].line, problems[0].column), (2, 10));
    assert!(problems[0].message.contains("not UTF-8"));
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    assert!(read(&SMALLEST.replace('\n', "\r\n")).is_ok());
}
