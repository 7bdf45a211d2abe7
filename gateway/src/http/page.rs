//! What the gateway says itself to a client that it cannot serve. Pure.

use std::fmt::Write as _;

use hyper::StatusCode;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Its status.
    pub(super) status: StatusCode,
    /// What is the matter, for a person.
    pub(super) text: String,
}

impl Page {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// Its content type and its text; as JSON it has the form of the management API's errors.
    pub(super) fn render(&self, json: bool) -> (&'static str, String) {
        let title = self.status.canonical_reason().unwrap_or("Error");
        if json {
            let error = title.to_ascii_lowercase().replace(' ', "_");
            let body = serde_json::json!({ "error": error, "reason": self.text });
            return ("application/json", body.to_string());
        }
        let (status, text) = (self.status.as_u16(), escaped(&self.text));
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{status} {title}</title></head>\n\
             <body><h1>{status} {title}</h1>\n<p>{text}</p>\n<hr><p>amqp-gateway</p></body></html>\n"
        );
        ("text/html; charset=utf-8", page)
    }
}

/// Does a client take JSON rather than a page? The API's clients do, whatever they say.
pub(super) fn wants_json(path: &str, accept: Option<&str>) -> bool {
    let accept = accept.unwrap_or_default();
    path.contains("/api/") || (accept.contains("application/json") && !accept.contains("text/html"))
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '<' | '>' | '&' | '"' | '\'' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_and_a_program_json() {
        let page = Page::new(StatusCode::SERVICE_UNAVAILABLE, "no node of cluster \"a<b\" answers");
        let (kind, text) = page.render(false);
        assert!(kind.starts_with("text/html"));
        assert!(text.contains("<h1>503 Service Unavailable</h1>"), "{text}");
        assert!(text.contains("cluster &#34;a&#60;b&#34; answers"), "{text}");
        let (kind, text) = page.render(true);
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((kind, &json["error"]), ("application/json", &"service_unavailable".into()));
        assert_eq!(json["reason"], "no node of cluster \"a<b\" answers");
    }

    #[test]
    fn who_gets_json() {
        assert!(wants_json("/api/queues", None));
        assert!(wants_json("/prefix/api/queues", Some("text/html")));
        assert!(wants_json("/", Some("application/json")));
        assert!(!wants_json("/", Some("text/html,application/json;q=0.9")));
        assert!(!wants_json("/", None));
    }
}
