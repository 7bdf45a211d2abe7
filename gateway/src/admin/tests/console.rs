//! The console's files, and the headers that keep it safe.

use super::*;

/// An answer to a request with this further header.
fn with(server: &AdminServer, request: &str, header: &str) -> (String, String) {
    ask(server, &format!("{request} HTTP/1.1\r\n{header}\r\nX-Rest: "))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[test]
fn the_first_page_is_the_console_and_runs_only_what_comes_from_here() {
    let server = start(sources());
    let first = admin_ui::asset("").unwrap();
    for path in ["/", "/ui/"] {
        let (head, body) = ask(&server, &format!("GET {path}"));
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert_eq!(header(&head, "content-type"), Some("text/html; charset=utf-8"));
        let policy = header(&head, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        assert!(
            !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(header(&head, "cache-control"), Some("no-store"));
        assert_eq!(body.as_bytes(), &*first.bytes);
    }
}

#[test]
fn addresses_within_the_console_lead_to_its_first_page_and_others_to_nothing() {
    let server = start(sources());
    let (head, _) = ask(&server, "GET /ui/sessions/7");
    assert!(head.starts_with("http/1.1 307 "), "{head}");
    assert_eq!(header(&head, "location"), Some("/ui/"));
    assert_eq!(header(&ask(&server, "GET /ui").0, "location"), Some("/ui/"));
    for path in ["/assets/none.js", "/lib.rs", "/../Cargo.toml", "/sessions"] {
        assert!(ask(&server, &format!("GET {path}")).0.starts_with("http/1.1 404 "), "{path}");
    }
}

#[test]
fn what_a_client_has_already_is_not_sent_again() {
    let server = start(sources());
    let (head, _) = ask(&server, "GET /index.html");
    let etag = header(&head, "etag").unwrap().to_owned();
    let (head, body) = with(&server, "GET /index.html", &format!("If-None-Match: \"x\", {etag}"));
    assert!(head.starts_with("http/1.1 304 ") && body.is_empty(), "{head}");
    let (head, body) = with(&server, "GET /index.html", "If-None-Match: \"x\"");
    assert!(head.starts_with("http/1.1 200 ") && !body.is_empty(), "{head}");
}

#[test]
fn every_answer_is_kept_from_frames_caches_and_other_pages() {
    let server = start(sources());
    for path in ["/", "/api/v1/nodes", "/api/openapi.json", "/metrics", "/nowhere"] {
        let (head, _) = ask(&server, &format!("GET {path}"));
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(&head, name), Some(value), "{path}");
        }
        assert!(header(&head, "permissions-policy").is_some(), "{path}");
        let policy = header(&head, "content-security-policy").unwrap();
        let shut = policy == "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(shut, path != "/", "{path}: {policy}");
    }
}
