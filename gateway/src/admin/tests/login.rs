//! Logins over real TCP.

use serde_json::{Value, json};

use super::super::api::text;
use super::super::auth::{Accounts, hash, section};
use super::*;
use crate::config::model::Role;

const JSON: &str = "Content-Type: application/json";

/// A gateway with a user of each role, whose password is the name of the role, and a token.
fn guarded() -> AdminServer {
    let [viewer, operator, admin] = ["viewer", "operator", "admin"].map(hash);
    let users = [
        ("viewer", &viewer, Role::Viewer),
        ("operator", &operator, Role::Operator),
        ("admin", &admin, Role::Admin),
    ];
    let accounts = Accounts::of(&section(&users, &[("ci", "agw_ci", Role::Operator)]));
    let events = Arc::new(EventLog::default());
    let auth = Arc::new(Auth::new(accounts, events.clone()).unwrap());
    start(Sources { auth, events, ..sources() })
}

/// Status, head and body of the answer.
fn send(server: &AdminServer, request: &str, lines: &[&str], body: &str) -> (u16, String, Value) {
    let mut stream = connect(server);
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: gw:1\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn login(server: &AdminServer, name: &str, password: &str) -> (u16, String, Value) {
    let body = json!({ "username": name, "password": password }).to_string();
    send(server, "POST /api/v1/login", &[JSON], &body)
}

/// The lines of a request with the cookie, and with the token for changes.
fn by_cookie(server: &AdminServer, name: &str) -> (String, String) {
    let (status, head, answer) = login(server, name, name);
    assert_eq!(status, 200, "{head}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    (
        format!("Cookie: {cookie}"),
        format!("X-CSRF-Token: {}", answer["csrf_token"].as_str().unwrap()),
    )
}

#[test]
fn whoever_is_not_logged_in_sees_health_metrics_and_the_page_alone() {
    let server = guarded();
    for open in ["/", "/metrics", "/health/live", "/health/ready", "/nowhere"] {
        assert!([200, 404].contains(&send(&server, &format!("GET {open}"), &[], "").0), "{open}");
    }
    for closed in
        ["/api/v1/nodes", "/api/v1/whoami", "/api/v1/nowhere", "/api/openapi.json", "/api"]
    {
        let (status, head, problem) = send(&server, &format!("GET {closed}"), &[], "");
        assert_eq!(status, 401, "{closed}");
        assert!(head.to_lowercase().contains("\r\nwww-authenticate: bearer"), "{head}");
        assert!(
            head.contains("application/problem+json") && problem["instance"] == closed,
            "{head}"
        );
    }
    let (status, ..) = send(&server, "PATCH /api/v1/nodes/main/n1", &[JSON], r#"{"weight":2}"#);
    assert_eq!(status, 401);
}

#[test]
fn roles_decide_who_may_change_what() {
    let server = guarded();
    let all = ["viewer", "operator", "admin"].map(|name| by_cookie(&server, name));
    let ask = |who: usize, request: &str, body: &str| {
        send(&server, request, &[JSON, &all[who].0, &all[who].1], body)
    };
    let (status, _, problem) = ask(0, "PATCH /api/v1/nodes/main/n1", r#"{"weight":2}"#);
    assert_eq!(status, 403);
    let detail = "This takes the role operator; viewer has the role viewer.";
    assert_eq!(problem["detail"], detail);
    assert_eq!(ask(0, "GET /api/v1/nodes", "").0, 200);
    assert_eq!(ask(1, "PATCH /api/v1/nodes/main/n1", r#"{"weight":2}"#).0, 200);
    assert_eq!(ask(1, "POST /api/v1/config/rollback", r#"{"revision":1}"#).0, 403);
    let new = r#"{"name":"x","role":"viewer"}"#;
    assert_eq!(ask(1, "POST /api/v1/admin/tokens", new).0, 403);
    let (status, _, made) = ask(2, "POST /api/v1/admin/tokens", new);
    assert!(status == 200 && made["section"].as_str().unwrap().contains("sha256:"), "{made}");
    let bodies = "GET /api/v1/tap?bodies=9999";
    assert_eq!((ask(0, bodies, "").0, ask(1, bodies, "").0, ask(2, bodies, "").0), (403, 403, 400));
    // Each change, done and refused, is kept with who, what and from where.
    let (_, _, events) =
        send(&server, "GET /api/v1/events", &["Accept: application/json", &all[0].0], "");
    let events: Vec<_> =
        events["events"].as_array().unwrap().iter().filter(|e| e["kind"] == "operator").collect();
    let told: Vec<_> = events.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(
        told[..2],
        ["viewer: PATCH nodes/main/n1 (refused)", "operator: PATCH nodes/main/n1"]
    );
    assert_eq!(
        events[1]["actor"],
        json!({ "name": "operator", "by": "cookie", "from": "127.0.0.1" })
    );
    assert_eq!(events[1]["details"]["weight"], "2");
    assert_eq!(events[1]["details"]["status"], "200");
}

#[test]
fn a_change_with_a_body_that_is_too_long_is_kept_as_refused() {
    let server = guarded();
    let token = "Authorization: Bearer agw_ci";
    let body = "x".repeat(extract::MAX_BODY + 1);
    let (status, ..) = send(&server, "PATCH /api/v1/nodes/main/n1", &[JSON, token], &body);
    assert_eq!(status, 413);
    let (_, _, events) =
        send(&server, "GET /api/v1/events", &["Accept: application/json", token], "");
    let event = &events["events"][0];
    assert_eq!(event["text"], "ci: PATCH nodes/main/n1 (refused)");
    assert_eq!(event["details"]["status"], "413");
}

#[test]
fn changes_with_the_cookie_need_its_own_token_and_page() {
    let server = guarded();
    let (cookie, csrf) = by_cookie(&server, "operator");
    let (_, other) = by_cookie(&server, "operator");
    let change =
        |lines: &[&str]| send(&server, "PATCH /api/v1/nodes/main/n1", lines, r#"{"weight":2}"#).0;
    assert_eq!(change(&[JSON, &cookie]), 403);
    assert_eq!(change(&[JSON, &cookie, "X-CSRF-Token: x"]), 403);
    assert_eq!(change(&[JSON, &cookie, &other]), 403, "that of another login");
    assert_eq!(change(&[JSON, &cookie, &csrf, "Origin: http://evil"]), 403);
    assert_eq!(change(&["Content-Type: text/plain", &cookie, &csrf]), 415);
    assert_eq!(change(&[JSON, &cookie, &csrf, "Origin: http://gw:1"]), 200);
    let (_, _, who) = send(&server, "GET /api/v1/whoami", &[&cookie], "");
    assert_eq!(format!("X-CSRF-Token: {}", who["csrf_token"].as_str().unwrap()), csrf);
    assert_eq!(
        (&who["name"], &who["role"], &who["by"], &who["gateway"]),
        (&json!("operator"), &json!("operator"), &json!("cookie"), &json!("gw"),)
    );
}

#[test]
fn programs_log_in_by_token_password_and_bearer() {
    let server = guarded();
    let (_, _, begun) = login(&server, "admin", "admin");
    let bearer = format!("Authorization: Bearer {}", begun["token"].as_str().unwrap());
    let basic = "Authorization: Basic b3BlcmF0b3I6b3BlcmF0b3I=";
    for (line, name, by) in [
        (&*bearer, "admin", "bearer"),
        (basic, "operator", "basic"),
        ("Authorization: Bearer agw_ci", "ci", "token"),
    ] {
        let (_, _, who) = send(&server, "GET /api/v1/whoami", &[line], "");
        assert_eq!((who["name"].as_str(), who["by"].as_str()), (Some(name), Some(by)), "{who}");
        let (status, ..) =
            send(&server, "PATCH /api/v1/nodes/main/n1", &[JSON, line], r#"{"weight":2}"#);
        assert_eq!(status, 200, "{by}");
    }
    let (cookie, _) = by_cookie(&server, "viewer");
    let wrong = ["Authorization: Bearer x", &cookie];
    assert_eq!(send(&server, "GET /api/v1/whoami", &wrong, "").0, 401, "the header counts first");
    // A program's token shows when it was used, a user's when they logged in.
    let (_, _, users) = send(&server, "GET /api/v1/admin/users", &[&bearer], "");
    assert!(
        users["tokens"][0]["last_used"].is_string() && users["users"][2]["last_login"].is_string()
    );
    let own = users["logins"].as_array().unwrap().iter().filter(|login| login["own"] == true);
    assert_eq!(own.count(), 1, "{users}");
}

#[test]
fn a_login_ends_by_logout_and_by_an_admin() {
    let server = guarded();
    let (cookie, csrf) = by_cookie(&server, "viewer");
    let (status, head, _) = send(&server, "POST /api/v1/logout", &[JSON, &cookie, &csrf], "");
    assert!(
        status == 204
            && head.contains("set-cookie: amqp_gateway_session=; ")
            && head.contains("Max-Age=0"),
        "{head}"
    );
    assert_eq!(send(&server, "GET /api/v1/whoami", &[&cookie], "").0, 401);
    let (cookie, _) = by_cookie(&server, "viewer");
    let (admin, admin_csrf) = by_cookie(&server, "admin");
    let (_, _, users) = send(&server, "GET /api/v1/admin/users", &[&cookie], "");
    let logins = users["logins"].as_array().unwrap();
    let id = logins.iter().find(|login| login["own"] == true).unwrap()["id"].as_u64().unwrap();
    let end = format!("DELETE /api/v1/admin/logins/{id}");
    let lines = [JSON, &admin, &admin_csrf];
    assert_eq!(send(&server, &end, &lines, "").0, 204);
    assert_eq!(send(&server, &end, &lines, "").0, 404);
    assert_eq!(send(&server, "GET /api/v1/whoami", &[&cookie], "").0, 401);
}

#[test]
fn wrong_passwords_are_told_alike_and_then_have_to_wait() {
    let server = guarded();
    let (status, _, wrong) = login(&server, "viewer", "x");
    let (other, _, nobody) = login(&server, "nobody", "x");
    assert_eq!((status, other, &wrong["detail"]), (401, 401, &nobody["detail"]));
    for _ in 0..3 {
        login(&server, "viewer", "x");
    }
    let (status, head, _) = login(&server, "viewer", "viewer");
    assert_eq!(status, 429, "{head}");
    let wait = head.to_lowercase();
    assert!(wait.contains("\r\nretry-after: 1"), "{head}");
    assert_eq!(login(&server, "operator", "operator").0, 200, "others need not wait");
}

#[test]
fn what_is_wrong_with_a_login_is_told_without_any_of_it() {
    let server = guarded();
    for body in
        [r#"{"username":"x","password":5}"#, r#"{"username":"s3cret","pass"#, r#"{"s3cret":1}"#]
    {
        let (status, _, problem) = send(&server, "POST /api/v1/login", &[JSON], body);
        assert!(status == 400 && !problem.to_string().contains("s3cret"), "{problem}");
    }
    let no_json = ["Content-Type: text/plain"];
    assert_eq!(send(&server, "POST /api/v1/login", &no_json, "{}").0, 415);
}

#[test]
fn without_users_nobody_logs_in_and_names_that_lead_here_see_nothing() {
    let server = start(sources());
    let (status, ..) = send(&server, "GET /api/v1/nodes", &[], "");
    assert_eq!(status, 403, "Host: gw:1 may have been pointed here");
    let (status, ..) =
        send(&server, "POST /api/v1/login", &[JSON], r#"{"username":"x","password":"x"}"#);
    assert_eq!(status, 409);
}

#[test]
fn the_table_of_roles_lists_every_change_of_the_document_and_nothing_else() {
    let document: Value = serde_json::from_str(&text()).unwrap();
    let mut changes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|method| *method != "get") {
            changes.push((method.to_uppercase(), path.clone()));
        }
    }
    let mut listed = super::super::auth::listed_changes();
    changes.sort();
    listed.sort();
    assert_eq!(listed, changes);
}
