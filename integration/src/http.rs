//! HTTP requests to the management API of a node and to the gateway's admin address.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const GET_DEADLINE: Duration = Duration::from_secs(20);
/// A busy cluster takes its time to create vhosts.
const POST_DEADLINE: Duration = Duration::from_secs(60);

/// GET: status and body, whatever the status. A login may stand in the URL.
///
/// # Errors
/// When there is no answer within twenty seconds; names the URL.
pub async fn get(url: &str) -> Result<(u16, String)> {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut response =
            agent(GET_DEADLINE).get(&url).call().with_context(|| format!("GET {url}"))?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    })
    .await?
}

/// GET of a JSON document.
///
/// # Errors
/// As [`get`], and when the status is not 200 or the body is not JSON.
pub async fn get_json(url: &str) -> Result<Value> {
    let (status, body) = get(url).await?;
    if status != 200 {
        bail!("GET {url}: status {status}, {body}");
    }
    serde_json::from_str(&body).with_context(|| format!("GET {url}: not JSON: {body}"))
}

/// POST of a JSON document.
///
/// # Errors
/// When there is no answer or the status is not 2xx; names the URL and what came back.
pub async fn post_json(url: &str, document: &Value) -> Result<()> {
    send_json("POST", url, document).await
}

/// PUT of a JSON document.
///
/// # Errors
/// As [`post_json`].
pub async fn put_json(url: &str, document: &Value) -> Result<()> {
    send_json("PUT", url, document).await
}

/// POST of a JSON document: status and JSON of the answer, whatever the status.
///
/// # Errors
/// When there is no answer, or it is not JSON; names the URL.
pub async fn post_for_json(url: &str, document: &Value) -> Result<(u16, Value)> {
    let (url, text) = (url.to_owned(), document.to_string());
    tokio::task::spawn_blocking(move || {
        let request = agent(POST_DEADLINE).post(&url).header("content-type", "application/json");
        let mut response = request.send(text).with_context(|| format!("POST {url}"))?;
        let body = response.body_mut().read_to_string()?;
        let answer = serde_json::from_str(&body);
        let answer = answer.with_context(|| format!("POST {url}: not JSON: {body}"))?;
        Ok((response.status().as_u16(), answer))
    })
    .await?
}

/// DELETE: status and body, whatever the status.
///
/// # Errors
/// When there is no answer; names the URL.
pub async fn delete(url: &str) -> Result<(u16, String)> {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut response = agent(GET_DEADLINE)
            .delete(&url)
            .header("content-type", "application/json")
            .call()
            .with_context(|| format!("DELETE {url}"))?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    })
    .await?
}

async fn send_json(method: &'static str, url: &str, document: &Value) -> Result<()> {
    let (url, text) = (url.to_owned(), document.to_string());
    tokio::task::spawn_blocking(move || {
        let agent = agent(POST_DEADLINE);
        let request = if method == "PUT" { agent.put(&url) } else { agent.post(&url) };
        let request = request.header("content-type", "application/json");
        let mut response = request.send(text).with_context(|| format!("{method} {url}"))?;
        if !response.status().is_success() {
            let body = response.body_mut().read_to_string()?;
            bail!("{method} {url}: status {}, {body}", response.status());
        }
        Ok(())
    })
    .await?
}

fn agent(deadline: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(deadline))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}
