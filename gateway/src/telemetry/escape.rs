//! Text into log lines so that nobody can forge a line, a field or a terminal sequence.

use std::io::Write as _;
use std::time::SystemTime;

/// Longest piece of a value that is logged, in bytes; the rest becomes `…`.
pub(crate) const MAX_VALUE: usize = 512;

/// Appends `time` as RFC 3339 UTC with milliseconds.
pub(crate) fn push_time(out: &mut Vec<u8>, time: SystemTime) {
    // humantime panics outside the years 1970 to 9999, and a clock may be set to anything.
    let from = SystemTime::UNIX_EPOCH;
    let until = from + std::time::Duration::from_secs(253_402_300_799);
    push_display(out, humantime::format_rfc3339_millis(time.clamp(from, until)));
}

/// Appends what `value` displays, unescaped: for numbers and the gateway's own words.
pub(crate) fn push_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends `value` as the value of a `key=value` pair: bare when it is one plain word, else quoted.
pub(crate) fn push_text_value(out: &mut Vec<u8>, value: &[u8]) {
    if !value.is_empty() && value.len() <= MAX_VALUE && value.iter().all(|b| is_plain(*b)) {
        out.extend_from_slice(value);
    } else {
        push_json_string(out, value);
    }
}

/// Appends `value` as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD.
pub(crate) fn push_json_string(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    push_escaped(out, value, MAX_VALUE, true);
    out.push(b'"');
}

/// Appends a message unquoted: only what could forge lines or steer a terminal is escaped.
pub(crate) fn push_message(out: &mut Vec<u8>, value: &str) {
    push_escaped(out, value.as_bytes(), usize::MAX, false);
}

/// Appends a message as a JSON string with its quotes, whatever its length.
pub(crate) fn push_json_message(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    push_escaped(out, value.as_bytes(), usize::MAX, true);
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, value: &[u8], limit: usize, quoted: bool) {
    let cut = value.len() > limit;
    let value = if cut { &value[..char_start(value, limit)] } else { value };
    for chunk in value.utf8_chunks() {
        push_valid(out, chunk.valid(), quoted);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    if cut {
        out.extend_from_slice("…".as_bytes());
    }
}

/// The nearest place at or before `limit` that does not split a UTF-8 character.
fn char_start(value: &[u8], limit: usize) -> usize {
    let continuation = |at: usize| value[at] & 0xc0 == 0x80;
    (limit.saturating_sub(3)..=limit).rev().find(|at| !continuation(*at)).unwrap_or(limit)
}

/// Copies runs of harmless characters whole: nearly all text is one run.
fn push_valid(out: &mut Vec<u8>, text: &str, quoted: bool) {
    let bytes = text.as_bytes();
    if bytes.iter().all(|b| (0x20..0x7f).contains(b) && *b != b'"' && *b != b'\\') {
        out.extend_from_slice(bytes);
        return;
    }
    let mut run = 0;
    for (at, c) in text.char_indices() {
        let special = matches!(c, '"' | '\\') && quoted;
        if special || is_dangerous(c) {
            out.extend_from_slice(&bytes[run..at]);
            run = at + c.len_utf8();
            push_escape(out, c);
        }
    }
    out.extend_from_slice(&bytes[run..]);
}

/// JSON's escapes, in text lines as well, so that one rule reads both.
fn push_escape(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        // Everything dangerous lies in the basic plane: one \u escape is enough.
        _ => push_display(out, format_args!("\\u{:04x}", u32::from(c))),
    }
}

/// Control characters, line separators, and marks that reverse or hide text on a screen.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:/@+%*,#()[]&;~!?$".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn text(value: &[u8]) -> String {
        let mut out = Vec::new();
        push_text_value(&mut out, value);
        String::from_utf8(out).expect("output is UTF-8")
    }

    fn json(value: &[u8]) -> String {
        let mut out = Vec::new();
        push_json_string(&mut out, value);
        serde_json::from_slice(&out).expect("output is a JSON string")
    }

    #[test]
    fn plain_words_stay_bare_and_everything_else_is_quoted() {
        assert_eq!(text(b"10.0.0.1:5672"), "10.0.0.1:5672");
        assert_eq!(text(b"/"), "/");
        assert_eq!(text(b""), "\"\"");
        assert_eq!(text(b"two words"), "\"two words\"");
        assert_eq!(text(b"a=b"), "\"a=b\"");
        assert_eq!(text("Überland".as_bytes()), "\"Überland\"");
    }

    #[test]
    fn what_could_forge_lines_or_steer_a_terminal_is_escaped() {
        assert_eq!(text(b"x\ny\r\t\x1b[31m\x00\x7f"), r#""x\ny\r\t\u001b[31m\u0000\u007f""#);
        assert_eq!(text(b"\" who=\"\\"), r#""\" who=\"\\""#);
        assert_eq!(text("\u{202e}\u{2028}\u{85}".as_bytes()), r#""\u202e\u2028\u0085""#);
        let mut out = Vec::new();
        push_message(&mut out, "say \"hi\"\nERROR forged");
        assert_eq!(out, b"say \"hi\"\\nERROR forged");
    }

    #[test]
    fn any_bytes_read_back_as_the_same_text_from_json() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(json(&all), String::from_utf8_lossy(&all));
        assert_eq!(json("ä\u{1f600}\u{2028}".as_bytes()), "ä\u{1f600}\u{2028}");
        assert_eq!(json(b"half \xf0\x9f"), "half \u{fffd}");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = "é".repeat(MAX_VALUE);
        for shift in 0..4 {
            let value = format!("{}{long}", "x".repeat(shift));
            let shown = json(value.as_bytes());
            assert!(shown.ends_with("é…"), "{shown}");
            assert!(shown.len() <= MAX_VALUE + "…".len());
        }
        assert!(text(&[b'a'; MAX_VALUE + 1]).ends_with("a…\""));
        assert_eq!(json(&[0x80; MAX_VALUE + 9]).chars().filter(|c| *c == '\u{fffd}').count(), 512);
    }

    #[test]
    fn times_are_rfc_3339_and_no_clock_panics() {
        let mut out = Vec::new();
        push_time(&mut out, SystemTime::UNIX_EPOCH + Duration::from_millis(1_792_000_000_042));
        assert_eq!(out, b"2026-10-14T17:46:40.042Z");
        push_time(&mut out, SystemTime::UNIX_EPOCH - Duration::from_secs(1));
        push_time(&mut out, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
    }
}
