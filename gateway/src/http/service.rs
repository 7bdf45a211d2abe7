//! One request: where it is to go.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, LOCATION,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::Shared;
use super::arrive::{Client, Speaks};
use super::body::Download;
use super::exchange::{Exchange, Reason, Unserved};
use super::forward::Forward;
use super::page::{self, Page};
use super::{headers, redirect};
use crate::config::model::Http;

/// Answers a request.
pub(super) async fn serve(
    shared: Arc<Shared>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Result<Response<Download>, Infallible> {
    client.pulse().begun();
    let exchange = Exchange::new(&shared, &client, request.method().clone(), request.uri().path());
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let asked = Asked {
        json: page::wants_json(request.uri().path(), accept),
        head: request.method() == Method::HEAD,
        last: client.speaks == Speaks::PlainOnTls,
    };
    Ok(match direct(&shared, &client, request, exchange).await {
        Ok(response) => response,
        Err(unserved) => asked.told(*unserved),
    })
}

async fn direct(
    shared: &Arc<Shared>,
    client: &Arc<Client>,
    request: Request<Incoming>,
    mut exchange: Exchange,
) -> Result<Response<Download>, Box<Unserved>> {
    let wrong = |status, text: &str, reason, exchange: Exchange| {
        Err(exchange.unserved(reason, Page::new(status, text)))
    };
    let bad = StatusCode::BAD_REQUEST;
    if client.speaks == Speaks::PlainOnTls {
        let text = "This port speaks https.";
        return wrong(bad, text, Reason::NotTls, exchange);
    }
    if request.method() == Method::CONNECT {
        let text = "This is no proxy to other places.";
        return wrong(StatusCode::METHOD_NOT_ALLOWED, text, Reason::BadRequest, exchange);
    }
    let Some(host) = host(&request, client.local.ip(), client.local.port()) else {
        let text = "The request needs one Host header with a host.";
        return wrong(bad, text, Reason::BadRequest, exchange);
    };
    let way = client.listener.way.load_full();
    let strategy = match way.http {
        Http::Balance(strategy) => strategy,
        Http::RedirectToHttps(port) => {
            let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            let to = redirect::location(host.as_bytes(), port, target);
            let Some(to) = to.and_then(|to| HeaderValue::try_from(to).ok()) else {
                return wrong(bad, "The request names no host.", Reason::BadRequest, exchange);
            };
            exchange.answers(StatusCode::PERMANENT_REDIRECT);
            let mut response = Response::new(Download::own(String::new(), exchange));
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(LOCATION, to);
            return Ok(response);
        }
    };
    if headers::is_loop(request.headers(), &shared.via) {
        let text = "The request has come back to this gateway: a node's management address leads to the gateway itself.";
        return wrong(StatusCode::LOOP_DETECTED, text, Reason::Loop, exchange);
    }
    let Some(cluster) = way.cluster.clone() else {
        let text = "This listener leads to no cluster.";
        return wrong(StatusCode::SERVICE_UNAVAILABLE, text, Reason::NoCluster, exchange);
    };
    Forward { shared, client, cluster: &cluster, strategy, host }.run(request, exchange).await
}

/// What the client asks for (RFC 9112 section 3.2): a host that is one, and only one. HTTP/1.0 knows none: there the
/// gateway's own address stands in for it.
fn host(request: &Request<Incoming>, local: IpAddr, port: u16) -> Option<HeaderValue> {
    let mut given = request.headers().get_all(HOST).iter();
    let host = match (request.uri().authority(), given.next(), given.next()) {
        (.., Some(_)) => return None,
        (Some(authority), ..) => HeaderValue::from_str(authority.as_str()).ok()?,
        (None, Some(host), None) => host.clone(),
        (None, None, None) if request.version() < Version::HTTP_11 => {
            let local = std::net::SocketAddr::new(local.to_canonical(), port);
            HeaderValue::try_from(local.to_string()).ok()?
        }
        (None, None, None) => return None,
    };
    redirect::host_of(host.as_bytes()).is_some().then_some(host)
}

/// How the client wants to be told.
struct Asked {
    json: bool,
    head: bool,
    /// Is there nothing more to say on this connection?
    last: bool,
}

impl Asked {
    fn told(&self, unserved: Unserved) -> Response<Download> {
        let Unserved { page, mut exchange } = unserved;
        exchange.answers(page.status);
        let (kind, text) = page.render(self.json);
        let length = text.len();
        let text = if self.head { String::new() } else { text };
        let mut response = Response::new(Download::own(text, exchange));
        *response.status_mut() = page.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        if self.last {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
