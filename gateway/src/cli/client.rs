//! Asks a running gateway by its admin API.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use crate::admin::view::Problem;
use crate::config::admin;

/// For each answer.
const TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_CONFIG: &str = super::DEFAULT_CONFIG;

/// Where the gateway answers.
#[derive(Debug, Args)]
pub(super) struct Admin {
    /// Where the admin API of the gateway answers, such as http://127.0.0.1:15680.
    #[arg(long, value_name = "URL", env = "AMQP_GATEWAY_ADMIN")]
    admin: Option<String>,
    /// The configuration of the gateway: its admin.bind is asked where --admin is not given.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// A gateway that is asked.
#[derive(Debug)]
pub(super) struct Client {
    base: String,
    agent: Agent,
}

impl Admin {
    /// Finds the gateway.
    ///
    /// # Errors
    /// When nothing says where it is: tells how to.
    pub(super) fn client(&self) -> Result<Client, String> {
        let base = match &self.admin {
            Some(url) => base(url)?,
            None => self.configured()?,
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .build()
            .into();
        Ok(Client { base, agent })
    }

    fn configured(&self) -> Result<String, String> {
        let advice = "name the gateway with --admin URL, AMQP_GATEWAY_ADMIN or --config FILE";
        let bind = admin::bind(&self.config).map_err(|error| format!("{error}: {advice}"))?;
        let file = self.config.display();
        let mut address = bind.ok_or_else(|| format!("{file} has no [admin] bind: {advice}"))?;
        // Bound everywhere, it answers here, too.
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(format!("http://{address}"))
    }
}

/// The beginning of all URLs, from what was given: the scheme may be left out.
fn base(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    match rest {
        "" => Err("--admin: empty; give a URL such as http://127.0.0.1:15680".to_owned()),
        _ if rest.contains("://") => {
            Err(format!("--admin: {url}: only http:// is spoken in this build"))
        }
        _ => Ok(format!("http://{rest}")),
    }
}

impl Client {
    /// GET
    ///
    /// # Errors
    /// When the gateway does not answer, or refuses: the reason.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.ask(Method::GET, path, String::new())
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
        let body = serde_json::to_string(body).map_err(|error| error.to_string())?;
        self.ask(method, path, body)
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<T, String> {
        let url = format!("{}{path}", self.base);
        let failed = |error: &dyn Display| format!("{url}: {error}; does the gateway run there?");
        let request = Request::builder().method(method).uri(&url);
        let request = request.header("content-type", "application/json").body(body);
        let request = request.map_err(|error| format!("{url}: {error}"))?;
        let mut response = self.agent.run(request).map_err(|error| failed(&error))?;
        let text = response.body_mut().read_to_string().map_err(|error| failed(&error))?;
        if !response.status().is_success() {
            return Err(refusal(&response, &text));
        }
        serde_json::from_str(&text)
            .map_err(|error| format!("{url}: not an answer of this API ({error})"))
    }
}

/// What the gateway has against it.
fn refusal(response: &Response<Body>, text: &str) -> String {
    match serde_json::from_str::<Problem>(text) {
        Ok(problem) => problem.detail,
        Err(_) => format!("the answer has status {}", response.status()),
    }
}

/// A name as a part of a path.
pub(super) fn part(name: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().fold(String::new(), |text, byte| match kept(byte) {
        true => text + &char::from(byte).to_string(),
        false => text + &format!("%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_with_and_without_its_scheme() {
        for url in ["http://127.0.0.1:15680", "127.0.0.1:15680", "http://127.0.0.1:15680/"] {
            assert_eq!(base(url).as_deref(), Ok("http://127.0.0.1:15680"));
        }
        assert!(base("https://gw").is_err_and(|error| error.contains("only http://")));
        assert!(base("").is_err());
    }

    #[test]
    fn names_cannot_break_out_of_a_path() {
        assert_eq!(part("rabbit-1.a_b"), "rabbit-1.a_b");
        assert_eq!(part("a/b?c d"), "a%2Fb%3Fc%20d");
    }
}
