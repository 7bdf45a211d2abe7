//! `openssl s_client` as a client: it says what was agreed on, and keeps sessions in files.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::peer::HEADER;
use crate::tls::{ClientTls, Version};

const DEADLINE: Duration = Duration::from_secs(30);

/// How connection.start begins after its type, channel and length: class 10, method 10, 0-9.
const START: [u8; 6] = [0, 10, 0, 10, 0, 9];

/// An AMQP client up to connection.start.
#[derive(Debug, Clone)]
pub struct SClient {
    address: SocketAddr,
    tls: ClientTls,
    arguments: Vec<String>,
}

/// What a client was told by openssl before connection.start came.
#[derive(Debug, Clone)]
pub struct Talk {
    text: String,
}

impl SClient {
    /// A client for an address.
    #[must_use]
    pub fn new(address: SocketAddr, tls: &ClientTls) -> Self {
        Self { address, tls: tls.clone(), arguments: Vec::new() }
    }

    /// Further arguments for `openssl s_client`, such as `-alpn amqp`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().copied().map(str::to_owned));
        self
    }

    /// Writes the session that the server offers to a file.
    #[must_use]
    pub fn save_session(self, file: &Path) -> Self {
        self.arguments(&["-sess_out", &file.display().to_string()])
    }

    /// Asks the server to resume the session of a file.
    #[must_use]
    pub fn resume_session(self, file: &Path) -> Self {
        self.arguments(&["-sess_in", &file.display().to_string()])
    }

    /// Connects, checks the server's certificate and name, sends the header of AMQP 0-9-1, waits
    /// for connection.start and leaves.
    ///
    /// # Errors
    /// When that fails or takes half a minute; carries all that openssl said.
    pub async fn talk(&self) -> Result<Talk> {
        let mut child = self.command().spawn().context("cannot start openssl")?;
        let talk = timeout(DEADLINE, exchange(&mut child)).await;
        talk.with_context(|| format!("no connection.start from {} in time", self.address))?
    }

    fn command(&self) -> Command {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &self.address.to_string()]);
        command.args(["-servername", &self.tls.server_name]);
        command.args(["-verify_hostname", &self.tls.server_name, "-verify_return_error"]);
        command.arg("-CAfile").arg(&self.tls.authority);
        match self.tls.version {
            // Else openssl would not even ask for it.
            Version::Tls11 => command.args(["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]),
            Version::Tls12 => command.arg("-tls1_2"),
            Version::Tls13 => command.arg("-tls1_3"),
        };
        if let Some(own) = &self.tls.certificate {
            command.arg("-cert").arg(&own.chain).arg("-cert_chain").arg(&own.chain);
            command.arg("-key").arg(&own.key);
        }
        command.args(&self.arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// openssl writes what it has to say and what the server says to the same place.
async fn exchange(child: &mut Child) -> Result<Talk> {
    let mut input = child.stdin.take().context("no standard input")?;
    let mut output = child.stdout.take().context("no standard output")?;
    let mut errors = child.stderr.take().context("no standard error")?;
    // Fails if openssl has ended; what it said tells why.
    let _ = input.write_all(&HEADER).await;
    let mut said = Vec::new();
    let mut more = vec![0; 16_384];
    while !said.windows(START.len()).any(|window| window == START) {
        let count = output.read(&mut more).await?;
        if count == 0 {
            let mut error = String::new();
            errors.read_to_string(&mut error).await?;
            bail!("no connection.start: {}\n{error}", String::from_utf8_lossy(&said));
        }
        said.extend_from_slice(&more[..count]);
    }
    // It leaves in order, and has written the session to its file when it is gone.
    drop(input);
    output.read_to_end(&mut said).await?;
    child.wait().await?;
    Ok(Talk { text: String::from_utf8_lossy(&said).into_owned() })
}

impl Talk {
    /// Whether an earlier session was resumed.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("Reused, "))
    }

    /// Version and cipher suite, `TLSv1.3 TLS_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn agreed(&self) -> String {
        let line = |line: &&str| line.starts_with("Reused, ") || line.starts_with("New, ");
        let found = self.text.lines().find(line).unwrap_or_default();
        let found = found.split_once(", ").map_or(found, |(_, rest)| rest);
        found.replace(", Cipher is", "")
    }

    /// The server's certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        let lines = self.text.lines().skip_while(|line| *line != "-----BEGIN CERTIFICATE-----");
        let mut pem = String::new();
        for line in lines {
            pem.push_str(line);
            pem.push('\n');
            if line == "-----END CERTIFICATE-----" {
                break;
            }
        }
        pem
    }

    /// All that openssl wrote.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
