//! Where a running gateway is, and who asks it: options that all commands of operators share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::{env, fs};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use rustls_native_certs::load_native_certs;
use ureq::http::HeaderValue;
use ureq::tls::{Certificate, PemItem, parse_pem};

use super::client::Client;
use crate::config::admin;

const DEFAULT_CONFIG: &str = super::DEFAULT_CONFIG;
const TOKEN: &str = "AMQP_GATEWAY_TOKEN";
const NAME_IT: &str = "name the gateway with --admin URL, AMQP_GATEWAY_ADMIN or --config FILE";

/// Where the gateway answers, and how to log in.
#[derive(Args)]
pub(super) struct Admin {
    /// Where the admin API of the gateway answers, such as http://127.0.0.1:15680.
    ///
    /// May carry a login: https://user:password@gw1:15680, with @, : and / in it as %40, %3A and %2F. Others see it in
    /// the list of processes: the environment is safer. A token is taken from AMQP_GATEWAY_TOKEN.
    #[arg(long, value_name = "URL", env = "AMQP_GATEWAY_ADMIN", hide_env_values = true)]
    admin: Option<String>,
    /// The configuration of the gateway: its admin.bind is asked where --admin is not given.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// PEM file with the authority of the gateway's certificate; without it those that the system trusts count.
    #[arg(long, value_name = "FILE", env = "AMQP_GATEWAY_CA")]
    ca: Option<PathBuf>,
    /// Print JSON, as the API answers it.
    #[arg(long)]
    pub(super) json: bool,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl Admin {
    /// Finds the gateway.
    ///
    /// # Errors
    /// When nothing says where it is: tells how to.
    pub(super) fn client(&self) -> Result<Client, String> {
        let address = match &self.admin {
            Some(url) => Address::parse(url)?,
            None => self.configured()?,
        };
        let token = env::var(TOKEN).ok().filter(|token| !token.trim().is_empty());
        let login = address.login(token.as_deref())?;
        let authorities = match address.is_tls() {
            true => Some(self.authorities()?),
            false => None,
        };
        Ok(Client::new(address.base, login, authorities))
    }

    fn configured(&self) -> Result<Address, String> {
        let file = self.config.display();
        let place = admin::place(&self.config).map_err(|error| format!("{error}: {NAME_IT}"))?;
        let place = place.ok_or_else(|| format!("{file} has no [admin] bind: {NAME_IT}"))?;
        let mut address = place.bind;
        // Bound everywhere, it answers here, too.
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let scheme = if place.tls { "https" } else { "http" };
        Ok(Address { base: format!("{scheme}://{address}"), login: None })
    }

    fn authorities(&self) -> Result<Vec<Certificate<'static>>, String> {
        let Some(file) = &self.ca else {
            let found = load_native_certs().certs;
            let found: Vec<_> =
                found.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            return match found.is_empty() {
                true => {
                    Err("this system trusts no authority: name that of the gateway with --ca FILE"
                        .to_owned())
                }
                false => Ok(found),
            };
        };
        let shown = file.display();
        let pem = fs::read(file).map_err(|error| format!("--ca {shown}: {error}"))?;
        let found: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        match found.is_empty() {
            true => Err(format!("--ca {shown}: no certificate in it; give a PEM file")),
            false => Ok(found),
        }
    }
}

/// A gateway's address, and the login that stood in it.
#[derive(PartialEq, Eq)]
struct Address {
    /// The beginning of all URLs; holds no login.
    base: String,
    login: Option<(String, String)>,
}

impl Address {
    /// Reads a URL; the scheme may be left out. No error holds what may be a password.
    fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                return Err(format!("--admin: {scheme}: only http and https are spoken"));
            }
            _ => ("http", url),
        };
        let rest = rest.trim_end_matches('/');
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if path.contains('@') {
            return Err(
                "--admin: write @, : and / in a name or password as %40, %3A and %2F".to_owned()
            );
        }
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        if host.is_empty() {
            return Err("--admin: no host; give a URL such as http://127.0.0.1:15680".to_owned());
        }
        let login = login.map(|login| {
            let (name, password) = login.split_once(':').unwrap_or((login, ""));
            (decoded(name), decoded(password))
        });
        Ok(Self { base: format!("{scheme}://{host}{path}"), login })
    }

    fn is_tls(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// The header that logs in: a login in the URL counts before a token.
    fn login(&self, token: Option<&str>) -> Result<Option<HeaderValue>, String> {
        let value = match (&self.login, token) {
            (Some((name, password)), _) => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
            }
            (None, Some(token)) => format!("Bearer {}", token.trim()),
            (None, None) => return Ok(None),
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| format!("{TOKEN}: there are characters in it that no token has"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// `%41` is `A`; what is none of these stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let octet = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match octet.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) if first == b'%' => {
                bytes.push(octet);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn a_url_is_taken_with_and_without_its_scheme() {
        for url in ["http://127.0.0.1:15680", "127.0.0.1:15680", "http://127.0.0.1:15680/"] {
            assert_eq!(parsed(url).base, "http://127.0.0.1:15680");
        }
        assert_eq!(parsed("https://gw/below/").base, "https://gw/below");
        assert_eq!(parsed("http://[::1]:15680").base, "http://[::1]:15680");
    }

    #[test]
    fn a_login_is_read_and_does_not_stay_in_the_address() {
        let address = parsed("https://ops:p%40ss%3aw%2Frd%@gw1:15680/");
        assert_eq!(address.base, "https://gw1:15680");
        assert_eq!(address.login, Some(("ops".into(), "p@ss:w/rd%".into())));
        let header = address.login(Some("token")).ok().flatten();
        assert_eq!(
            header.as_ref().and_then(|h| h.to_str().ok()),
            Some("Basic b3BzOnBAc3M6dy9yZCU=")
        );
        assert_eq!(format!("{header:?}"), "Some(Sensitive)");
    }

    #[test]
    fn a_token_counts_where_the_address_has_no_login() {
        let header = parsed("gw1").login(Some("abc\n")).ok().flatten();
        assert_eq!(header.as_ref().and_then(|h| h.to_str().ok()), Some("Bearer abc"));
        assert_eq!(parsed("gw1").login(None), Ok(None));
        assert!(parsed("gw1").login(Some("a\nb")).is_err_and(|error| !error.contains("a\nb")));
    }

    #[test]
    fn no_error_tells_a_password() {
        for url in
            ["", "ftp://ops:secret@gw", "http://ops:sec/secret@gw", "http://ops:secret@", "http://"]
        {
            let error = Address::parse(url).err().unwrap_or_else(|| panic!("{url}"));
            assert!(error.starts_with("--admin: ") && !error.contains("sec"), "{error}");
        }
    }
}
