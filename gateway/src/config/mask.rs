//! Hides the secrets of a configuration text wherever a problem would show it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// The last step of the path of every secret.
const SECRET_KEYS: [&str; 5] = ["password", "password_hash", "hash", "authentication", "webhook"];

/// The value of a secret key; as far as it goes if it is not closed.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let values = [
        r#""""(?s:.*?)(?:"""|\z)"#,
        r"'''(?s:.*?)(?:'''|\z)",
        r#""(?:[^"\\\n]|\\.)*"?"#,
        r"'[^'\n]*'?",
        r"[^\s,}#]*",
    ];
    let values = values.join("|");
    let keys = SECRET_KEYS.join("|");
    Regex::new(&format!(r#"(?m)(?:^|[^\w-])["']?(?:{keys})["']?[ \t]*=[ \t]*({values})"#)).ok()
});

/// User and password in a URL.
static LOGIN_IN_URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"://([^\s"']*)@"#).ok());

/// Is the key at `path` a secret?
pub(super) fn is_secret(path: &[String]) -> bool {
    path.last().is_some_and(|key| SECRET_KEYS.contains(&key.as_str()))
}

/// The text with a star for each character of a secret, so that all else keeps its place.
pub(super) fn masked(text: &str) -> String {
    let mut secret: Vec<Range<usize>> = Vec::new();
    for pattern in [&*SECRET, &*LOGIN_IN_URL].into_iter().flatten() {
        secret.extend(pattern.captures_iter(text).filter_map(|found| Some(found.get(1)?.range())));
    }
    secret.sort_unstable_by_key(|range| range.start);
    let (mut ahead, mut until) = (secret.into_iter().peekable(), 0);
    let star = |(at, c): (usize, char)| {
        while let Some(range) = ahead.next_if(|range| range.start <= at) {
            until = until.max(range.end);
        }
        match c {
            '\n' | '\r' | '"' | '\'' => c,
            _ if at < until => '*',
            _ => c,
        }
    };
    text.char_indices().map(star).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_password_is_hidden_however_it_is_written() {
        for (text, shown) in [
            ("password = \"s3c\\\"ret\" # x", "password = \"****\"***\" # x"),
            ("password='s3c\"ret'", "password='***\"***'"),
            ("\"password\" = 's'", "\"password\" = '*'"),
            ("health.password = 's'", "health.password = '*'"),
            (
                "{ username = 'u', password = 's', rise = 2 }",
                "{ username = 'u', password = '*', rise = 2 }",
            ),
            ("password = \"\"\"\na\nb\"\"\"\nrise = 2", "password = \"\"\"\n*\n*\"\"\"\nrise = 2"),
            ("password_hash = '$a$b'", "password_hash = '****'"),
            ("{ hash = \"sha256:00\" }", "{ hash = \"*********\" }"),
            ("authentication = 's' # x", "authentication = '*' # x"),
            ("password = hunter2, x", "password = *******, x"),
            ("password = \"never closed\nrise = 2", "password = \"************\nrise = 2"),
            ("#password = \"s\"", "#password = \"*\""),
            ("##  password = 's'", "##  password = '*'"),
            ("rise = 2 #hash='s'", "rise = 2 #hash='*'"),
            ("webhook = \"http://h/s\" # x", "webhook = \"**********\" # x"),
            ("password_file = '/a'", "password_file = '/a'"),
            ("old-password = 's'", "old-password = 's'"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn many_secrets_some_within_others_are_hidden_in_one_pass() {
        let line = "password = 'at://u:p@h' # é\n";
        let shown = "password = '**********' # é\n";
        assert_eq!(masked(&line.repeat(10_000)), shown.repeat(10_000));
    }

    #[test]
    fn so_is_the_login_in_a_url() {
        assert_eq!(masked("at \"http://u:p@h:1\""), "at \"http://***@h:1\"");
        assert_eq!(masked("at \"http://h:1/a\""), "at \"http://h:1/a\"");
    }
}
