//! `hash-password` and `new-token`: what the configuration keeps of secrets.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use clap::{Args, ValueEnum};
use rustix::stdio;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::operate::Failed;
use crate::admin::auth::{passwords, secret};

/// Longest line that is read, in bytes; longer passwords nobody could log in with.
const LONGEST: usize = 1024;
const NAME_BYTES: usize = 64;

/// Reads a password and prints its hash.
pub(super) fn hash(out: &mut dyn Write) -> Result<(), Failed> {
    let input = io::stdin();
    let password = if input.is_terminal() {
        asked_twice(&mut input.lock(), &mut io::stderr())?
    } else {
        line(&mut input.lock())?
    };
    hash_of(&password, out)
}

fn hash_of(password: &str, out: &mut dyn Write) -> Result<(), Failed> {
    if password.is_empty() {
        return Err(Failed::Told("The password is empty: give one.".to_owned()));
    }
    let hash = passwords::hash(password).map_err(Failed::Told)?;
    writeln!(out, "{hash}").map_err(Failed::Output)
}

fn asked_twice(input: &mut dyn BufRead, questions: &mut dyn Write) -> Result<String, Failed> {
    let _quiet = Quiet::new();
    let mut ask = |question: &str| {
        let _ = write!(questions, "{question}").and_then(|()| questions.flush());
        let answer = line(input);
        // The one that was typed is not shown.
        let _ = writeln!(questions);
        answer
    };
    let (first, second) = (ask("Password: ")?, ask("Once more: ")?);
    match first == second {
        true => Ok(first),
        false => Err(Failed::Told("The two are not the same.".to_owned())),
    }
}

/// A line without its end.
fn line(input: &mut dyn BufRead) -> Result<String, Failed> {
    let mut text = Vec::new();
    let read = input.take(LONGEST as u64 + 2).read_until(b'\n', &mut text);
    read.map_err(|error| Failed::Told(format!("standard input: {error}")))?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > LONGEST {
        return Err(Failed::Told(format!("The password has over {LONGEST} bytes: shorten it.")));
    }
    let text = String::from_utf8(text.to_vec());
    text.map_err(|_| Failed::Told("The password is not UTF-8 text.".to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Option<Termios>);

impl Quiet {
    fn new() -> Self {
        let before = tcgetattr(stdio::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(stdio::stdin(), OptionalActions::Flush, &quiet);
        }
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdio::stdin(), OptionalActions::Flush, before);
        }
    }
}

/// What a token is for.
#[derive(Debug, Args)]
pub(super) struct NewToken {
    /// Its name, for events and the log.
    name: String,
    /// What it may do.
    #[arg(long, value_enum, default_value_t = Role::Viewer)]
    role: Role,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Look.
    Viewer,
    /// Move and close: nodes, sessions, virtual routers; reload.
    Operator,
    /// All.
    Admin,
}

impl NewToken {
    /// Prints a token, and the section of the configuration for it.
    pub(super) fn make(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !(1..=NAME_BYTES).contains(&self.name.len()) || !self.name.chars().all(fits) {
            let advice =
                "NAME: use 1 to 64 of the characters A-Z, a-z, 0-9, \"_\", \".\" and \"-\".";
            return Err(Failed::Told(advice.to_owned()));
        }
        let role = match self.role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        };
        let token = secret::program_token().map_err(|error| Failed::Told(error.to_string()))?;
        let section = secret::section(&self.name, &token, role);
        writeln!(
            out,
            "# For the program, as AMQP_GATEWAY_TOKEN or `Authorization: Bearer`. It is not kept."
        )
        .and_then(|()| writeln!(out, "{token}\n\n# For gateway.toml:\n{section}"))
        .map_err(Failed::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_line_without_its_end() {
        for (input, expected) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s3cret", "s3cret"),
            (" a b \nc", " a b "),
        ] {
            assert!(line(&mut input.as_bytes()).is_ok_and(|line| line == expected), "{input:?}");
        }
        assert!(line(&mut "x".repeat(LONGEST + 1).as_bytes()).is_err());
        assert!(line(&mut "x".repeat(LONGEST).as_bytes()).is_ok());
    }

    #[test]
    fn on_a_terminal_it_is_asked_for_twice() {
        let mut shown = Vec::new();
        let typed = asked_twice(&mut "s3cret\ns3cret\n".as_bytes(), &mut shown);
        assert!(typed.is_ok_and(|typed| typed == "s3cret"));
        assert!(!String::from_utf8_lossy(&shown).contains("s3cret"));
        assert!(asked_twice(&mut "s3cret\nS3cret\n".as_bytes(), &mut Vec::new()).is_err());
    }

    #[test]
    fn the_hash_is_the_last_line_and_an_empty_password_has_none() {
        let mut out = Vec::new();
        assert!(hash_of("s3cret", &mut out).is_ok());
        let text = String::from_utf8_lossy(&out);
        assert!(
            text.lines()
                .last()
                .is_some_and(|line| line.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"))
        );
        assert!(hash_of("", &mut Vec::new()).is_err());
    }

    #[test]
    fn a_token_comes_with_its_section() {
        let mut out = Vec::new();
        let made = NewToken { name: "ci".into(), role: Role::Operator }.make(&mut out);
        let text = String::from_utf8_lossy(&out);
        let token = text.lines().find(|line| line.starts_with("agw_")).unwrap_or_default();
        assert!(made.is_ok() && text.contains(&secret::section("ci", token, "operator")), "{text}");
        assert!(NewToken { name: "a b".into(), role: Role::Viewer }.make(&mut Vec::new()).is_err());
    }
}
