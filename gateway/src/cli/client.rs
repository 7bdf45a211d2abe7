//! Asks a running gateway by its admin API.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{HeaderValue, Method, Request, Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// For each answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// To connect, where the answer has no end.
const TO_CONNECT: Duration = Duration::from_secs(5);
/// Longest line of a stream, in bytes.
const LONGEST_LINE: u64 = 1024 * 1024;

const LOG_IN: &str =
    "log in with --admin https://user:password@HOST:PORT, AMQP_GATEWAY_ADMIN or AMQP_GATEWAY_TOKEN";

/// A gateway that is asked.
pub(super) struct Client {
    base: String,
    login: Option<HeaderValue>,
    agent: Agent,
}

impl Client {
    /// Of the gateway whose URLs begin with `base`; `authorities` are believed where it speaks TLS.
    pub(super) fn new(
        base: String,
        login: Option<HeaderValue>,
        authorities: Option<Vec<Certificate<'static>>>,
    ) -> Self {
        let mut config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            // A login is for this gateway alone.
            .max_redirects(0)
            .proxy(None);
        if let Some(authorities) = authorities {
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&authorities))
                .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()));
            config = config.tls_config(tls.build());
        }
        Self { base, login, agent: config.build().into() }
    }

    /// GET
    ///
    /// # Errors
    /// When the gateway does not answer, or refuses: the reason.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.ask(Method::GET, path, String::new(), TIMEOUT)
    }

    /// Any other method; `body` is sent as JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, String> {
        self.send_for(method, path, body, TIMEOUT)
    }

    /// As [`Client::send`], for what takes longer.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(super) fn send_for<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<T, String> {
        let body = serde_json::to_string(body).map_err(|error| error.to_string())?;
        self.ask(method, path, body, patience)
    }

    /// Follows a stream of events: calls `each` with the data of each, until there are no more, or it says so.
    ///
    /// # Errors
    /// As [`Client::get`], and those of `each`.
    pub(super) fn follow<E: From<String>>(
        &self,
        path: &str,
        mut each: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let url = format!("{}{path}", self.base);
        let request = self.request(Method::GET, &url, "text/event-stream", String::new())?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(None).timeout_connect(Some(TO_CONNECT)).build();
        let answer = self.agent.run(request).map_err(|error| unanswered(&url, &error))?;
        let mut answer = self.accepted(answer)?;
        let mut lines = BufReader::new(answer.body_mut().as_reader());
        let mut data = String::new();
        loop {
            let mut line = String::new();
            let read = std::io::Read::take(&mut lines, LONGEST_LINE).read_line(&mut line);
            if read.map_err(|error| unanswered(&url, &error))? == 0 {
                return Ok(());
            }
            match line.trim_end_matches(['\r', '\n']) {
                "" if !data.is_empty() => each(&std::mem::take(&mut data))?,
                line => {
                    if let Some(text) = line.strip_prefix("data:") {
                        data.push_str(text.strip_prefix(' ').unwrap_or(text));
                    }
                }
            }
        }
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
        patience: Duration,
    ) -> Result<T, String> {
        let url = format!("{}{path}", self.base);
        let request = self.request(method, &url, "application/json", body)?;
        let request = self.agent.configure_request(request).timeout_global(Some(patience)).build();
        let answer = self.agent.run(request).map_err(|error| unanswered(&url, &error))?;
        let mut answer = self.accepted(answer)?;
        let text = answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string();
        let text = text.map_err(|error| unanswered(&url, &error))?;
        serde_json::from_str(&text)
            .map_err(|error| format!("{url}: not an answer of this API ({error})"))
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        accept: &str,
        body: String,
    ) -> Result<Request<String>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, accept);
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        request.body(body).map_err(|error| format!("{url}: {error}"))
    }

    /// The answer, unless the gateway has something against it.
    fn accepted(&self, mut answer: Response<Body>) -> Result<Response<Body>, String> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let refusal = refusal(status, &text);
        Err(match status {
            StatusCode::UNAUTHORIZED if self.login.is_none() => {
                format!("{}: a login is needed: {LOG_IN}", self.base)
            }
            StatusCode::UNAUTHORIZED => {
                format!("{}: the login is not accepted: {refusal}", self.base)
            }
            StatusCode::FORBIDDEN if self.login.is_some() => {
                format!("{refusal}\nThis login may not do it: {LOG_IN}, as somebody who may.")
            }
            _ => refusal,
        })
    }
}

fn unanswered(url: &str, error: &dyn Display) -> String {
    let error = error.to_string();
    let advice = match error.contains("certificate") {
        true => "name its authority with --ca FILE, and the gateway as its certificate does",
        false => "does the gateway run there?",
    };
    format!("{url}: {error}; {advice}")
}

/// What the gateway has against it: the sentence, then all reasons, one a line.
fn refusal(status: StatusCode, text: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(detail) = problem["detail"].as_str() else {
        return format!("the answer has status {status}");
    };
    let reasons = problem["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
    reasons.fold(detail.to_owned(), |text, reason| format!("{text}\n{}", reason.trim_end()))
}

/// A name as a part of a path or query.
pub(super) fn part(name: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().fold(String::new(), |text, byte| match kept(byte) {
        true => text + &char::from(byte).to_string(),
        false => text + &format!("%{byte:02X}"),
    })
}

/// A path with its query; what is absent is left out.
pub(super) fn query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let given = pairs.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let given: Vec<_> = given.map(|(name, value)| format!("{name}={}", part(value))).collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_a_path() {
        assert_eq!(part("rabbit-1.a_b"), "rabbit-1.a_b");
        assert_eq!(part("a/b?c d"), "a%2Fb%3Fc%20d");
        let pairs = [("a", Some("x&b=1".to_owned())), ("b", None), ("c", Some(String::new()))];
        assert_eq!(query("/p", &pairs), "/p?a=x%26b%3D1&c=");
        assert_eq!(query("/p", &[]), "/p");
    }

    #[test]
    fn a_refusal_tells_its_reasons_one_by_one() {
        let text =
            r#"{"status": 422, "detail": "Not valid.", "reasons": ["a:1: no\n", "b:2: no"]}"#;
        let refused = refusal(StatusCode::UNPROCESSABLE_ENTITY, text);
        assert_eq!(refused, "Not valid.\na:1: no\nb:2: no");
        let refused = refusal(StatusCode::BAD_GATEWAY, "<html>");
        assert_eq!(refused, "the answer has status 502 Bad Gateway");
    }
}
