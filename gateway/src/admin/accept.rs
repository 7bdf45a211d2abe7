//! What a client wants to have an answer as (`Accept`).

use axum::extract::Request;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// JSON.
pub(super) const JSON: &str = "application/json";
/// Server-Sent Events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// The one of `offered` that the client likes best, the first of equals.
///
/// # Errors
/// It takes none of them.
pub(super) fn choose<'a>(headers: &HeaderMap, offered: &[&'a str]) -> Result<&'a str, Problem> {
    let wanted: Vec<&str> = headers.get_all(ACCEPT).iter().flat_map(|v| v.to_str()).collect();
    let wanted = wanted.join(",");
    let liked = |kind: &str| if wanted.trim().is_empty() { 1.0 } else { quality(&wanted, kind) };
    let mut best = (0.0, None);
    for kind in offered {
        let quality = liked(kind);
        if quality > best.0 {
            best = (quality, Some(*kind));
        }
    }
    best.1.ok_or_else(|| {
        let detail = format!(
            "The answer is {}, which the header Accept does not take; leave it out or add it.",
            offered.join(" or ")
        );
        Problem::new(StatusCode::NOT_ACCEPTABLE, detail)
    })
}

/// Lets requests pass that take JSON.
pub(super) async fn json_only(request: Request, next: Next) -> Response {
    match choose(request.headers(), &[JSON]) {
        Ok(_) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// What the most precise entry for `kind` says, from 0 = not at all to 1.
fn quality(accept: &str, kind: &str) -> f32 {
    let family = kind.split('/').next().unwrap_or_default();
    let fit = |range: &str| match range.to_ascii_lowercase() {
        range if range == kind => Some(3),
        range if range.strip_suffix("/*").is_some_and(|of| of == family) => Some(2),
        range if range == "*/*" => Some(1),
        _ => None,
    };
    let entries = accept.split(',').filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let fit = fit(parts.next()?)?;
        let quality =
            parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((fit, quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0))))
    });
    entries.max_by_key(|(fit, _)| *fit).map_or(0.0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, value.parse().expect("a header"));
        }
        choose(&headers, &[EVENT_STREAM, JSON]).ok()
    }

    #[test]
    fn the_most_precise_entry_decides_and_the_first_of_equals_wins() {
        for (accept, expected) in [
            (&[][..], Some(EVENT_STREAM)),
            (&[""], Some(EVENT_STREAM)),
            (&["*/*"], Some(EVENT_STREAM)),
            (&["application/json"], Some(JSON)),
            (&["Application/JSON; charset=utf-8"], Some(JSON)),
            (&["text/html", "application/json;q=0.5"], Some(JSON)),
            (&["text/event-stream;q=0.1, application/json;q=0.5"], Some(JSON)),
            (&["text/*;q=0.9, application/*"], Some(JSON)),
            (&["*/*;q=0.1, text/event-stream;q=0"], Some(JSON)),
            (&["application/json;q=0"], None),
            (&["application/json;q=x"], None),
            (&["text/html"], None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept:?}");
        }
    }
}
