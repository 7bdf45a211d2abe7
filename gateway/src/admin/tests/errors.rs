//! What is answered to requests that nothing can be made of.

use super::api::{PROGRAM, refused, send};
use super::*;

#[test]
fn whatever_is_wrong_with_a_request_is_told_as_a_problem_that_names_it() {
    let server = start(sources());
    for (request, status, text) in [
        ("GET /api/v1/nowhere", 404, "There is nothing at"),
        ("GET /api/v1/listeners/none", 404, "There is no listener none."),
        ("GET /api/v1/nodes?x=1", 400, "leave out the question mark"),
        ("GET /api/v1/sessions?colour=red", 400, "unknown field `colour`, expected one of `page`"),
        ("GET /api/v1/sessions?page=1&page=2", 400, "duplicate field `page`"),
        ("GET /api/v1/sessions?page=-1", 400, "page: invalid digit"),
        ("GET /api/v1/sessions?page=0", 400, "page counts from 1"),
        ("GET /api/v1/sessions?page_size=501", 400, "give 1 to 500"),
        ("GET /api/v1/sessions?sort=colour", 400, "unknown variant `colour`"),
        ("GET /api/v1/sessions?source=nowhere", 422, "source is no address"),
        ("GET /api/v1/sessions/x", 400, "Cannot parse"),
        ("GET /api/v1/sessions/99999999999999999999", 400, "Cannot parse"),
        ("GET /api/v1/sessions/8", 404, "There is no session 8"),
        ("GET /api/v1/routes/0", 404, "no route at position 0"),
        ("GET /api/v1/users/%ff", 400, "Invalid UTF-8"),
        ("GET /api/v1/events?limit=1001", 400, "give 1 to 1000"),
        ("GET /api/v1/events?kind=colour", 400, "unknown variant `colour`"),
        ("GET /api/v1/tap?bodies=4097", 400, "give at most 4096"),
        ("GET /api/v1/tap?session=8", 404, "There is no session 8"),
        ("DELETE /api/v1/sessions", 422, "Choose some."),
        ("DELETE /api/v1/sessions/8", 404, "There is no session 8"),
        ("PUT /api/v1/nodes", 405, "does not take PUT"),
        ("POST /api/v1/config/reload", 422, "The file is not valid."),
    ] {
        let (found, problem) = send(&server, request, PROGRAM, "");
        assert_eq!(found, status, "{request}: {problem}");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        let path = request.split([' ', '?']).nth(1).unwrap();
        assert_eq!(problem["instance"], path, "{request}");
        assert!(problem["title"].is_string());
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(text), "{request}: {detail}");
    }
}

#[test]
fn a_reload_that_is_refused_says_all_that_is_wrong_and_knows_who_asked() {
    let server = start(sources());
    let (_, problem) = send(&server, "POST /api/v1/config/reload", PROGRAM, "");
    assert_eq!(problem["reasons"], serde_json::json!(["local from 127.0.0.1 may not"]));
    let rollback = "POST /api/v1/config/rollback";
    assert_eq!(send(&server, rollback, PROGRAM, r#"{"revision":2}"#).1["revision"], 4);
    assert_eq!(refused(&server, rollback, PROGRAM, r#"{"revision":9}"#).0, 404);
    assert_eq!(refused(&server, rollback, PROGRAM, "{}").0, 400);
}

/// `ask` adds the rest of the head behind it.
const PUT: &str =
    "PUT /api/v1/nodes/main/n1 HTTP/1.1\r\nContent-Type: application/json\r\nX-Rest: ";

#[test]
fn a_method_that_is_not_taken_is_told_which_are() {
    let server = start(sources());
    let (head, _) = ask(&server, PUT);
    assert!(head.starts_with("http/1.1 405 "), "{head}");
    let allowed = head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap();
    let mut allowed: Vec<_> = allowed.split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["get", "head", "patch"]);
}

#[test]
fn an_answer_that_cannot_be_as_the_client_wants_it_is_none() {
    let server = start(sources());
    let get = |path: &str, accept: &str| {
        let headers = ["Host: localhost".to_owned(), format!("Accept: {accept}")];
        let headers = headers.each_ref().map(String::as_str);
        send(&server, &format!("GET {path}"), &headers, "")
    };
    for (path, accept) in [
        ("/api/v1/nodes", "text/html"),
        ("/api/v1/nodes", "application/json;q=0"),
        ("/api/v1/events", "text/html"),
        ("/api/v1/tap", "application/json"),
    ] {
        let (status, problem) = get(path, accept);
        assert_eq!(status, 406, "{path} {accept}");
        assert!(problem["detail"].as_str().unwrap().contains("Accept"), "{problem}");
    }
    assert_eq!(get("/api/v1/nodes", "text/html, */*;q=0.1").0, 200);
    assert_eq!(get("/api/v1/events", "application/json").0, 200);
}

#[test]
fn a_head_request_is_answered_like_a_get_request_without_the_body() {
    let server = start(sources());
    for path in ["/api/v1/status", "/api/v1/events", "/metrics", "/", "/api/v1/nowhere"] {
        let (head, _) = ask(&server, &format!("HEAD {path}"));
        let status = if path.ends_with("nowhere") { 404 } else { 200 };
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {head}");
    }
}

#[test]
fn names_in_paths_are_decoded() {
    let server = start(sources());
    let get = |path: &str| send(&server, &format!("GET {path}"), &["Host: localhost"], "");
    assert_eq!(get("/api/v1/vhosts/%2F").1["vhost"], "/");
    assert_eq!(get("/api/v1/users/%6aane").1["user"], "jane");
    for path in ["status", "history", "topology", "listeners/amqp", "routes/1", "certificates"] {
        assert_eq!(get(&format!("/api/v1/{path}")).0, 200, "{path}");
    }
    for path in ["sessions?page=2&page_size=500", "sessions/7", "sessions/7/history", "config"] {
        assert_eq!(get(&format!("/api/v1/{path}")).0, 200, "{path}");
    }
    assert_eq!(send(&server, "DELETE /api/v1/sessions?vhost=%2F", PROGRAM, "").0, 200);
}
