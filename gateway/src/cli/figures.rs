//! Figures and texts as people read them.

use std::fmt::Display;

/// `1,234,567`
pub(super) fn count(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many a second: `0`, `0.4`, `12.3`, `1,234`.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        _ if !rate.is_finite() || rate < 0.05 => "0".to_owned(),
        _ if rate < 100.0 => format!("{rate:.1}"),
        _ => count(rate.round() as u64),
    }
}

/// `512 B`, `1.2 kB`, `34.5 MB`: steps of a thousand.
pub(super) fn octets(octets: f64) -> String {
    let (mut rest, mut unit) = (octets.max(0.0), "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if rest < 999.95 {
            break;
        }
        (rest, unit) = (rest / 1000.0, larger);
    }
    if unit == "B" { format!("{rest:.0} B") } else { format!("{rest:.1} {unit}") }
}

/// `12s`, `5m 12s`, `3h 4m`, `2d 7h`
pub(super) fn age(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// What there is of it, or a dash.
pub(super) fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A text of strangers that does nothing to a terminal.
pub(super) fn plain(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut plain, c| {
        match harmful(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
        plain
    })
}

/// At most so many characters.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_grouped() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned),
            [0_u64, 999, 1000, 1_234_567].map(count)
        );
        assert_eq!(
            ["0", "0.4", "12.3", "1,235"].map(str::to_owned),
            [0.01, 0.42, 12.34, 1234.6].map(rate)
        );
        assert_eq!(rate(f64::NAN), "0");
        assert_eq!(
            ["0 B", "999 B", "1.0 kB", "34.5 MB"].map(str::to_owned),
            [0.0, 999.0, 1000.0, 34_480_000.0].map(octets)
        );
        assert_eq!(
            ["59s", "1m 0s", "3h 4m", "2d 7h"].map(str::to_owned),
            [59.9, 60.0, 11_040.0, 198_000.0].map(age)
        );
    }

    #[test]
    fn a_strangers_text_does_nothing_to_a_terminal() {
        assert_eq!(plain("a\x1b[2Jb\n\u{202e}é"), "a\\u{1b}[2Jb\\n\\u{202e}é");
        assert_eq!((short("abcdef", 6), short("abcdefg", 6)), ("abcdef".into(), "abcde…".into()));
    }
}
