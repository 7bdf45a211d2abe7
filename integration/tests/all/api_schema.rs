//! The admin API keeps what its own description says, whatever it is sent: no answer that is not documented, none that
//! is not shaped as documented, and no error of the server.

use std::fs;
use std::time::Duration;

use integration::GatewayProcess;
use integration::compose::repository;
use integration::ports::PortBlock;
use integration::scratch::Scratch;
use integration::target;
use tokio::process::Command;
use tokio::time::timeout;

/// Requests of each operation, in each phase at most.
const EXAMPLES: &str = "4";
/// It takes some seconds where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(300);
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Names that the gateway knows; without them nearly all names would be unknown to it.
const KNOWN: &str = r#"
[parameters]
cluster = "main"
node = "n1"
"path.name" = "amqp"
"path.position" = 1
"path.revision" = 1
"query.source" = "10.0.0.0/8"
"#;
/// The token is `schemathesis`.
const LOGINS: &str = r#"
[[admin.token]]
name = "schemathesis"
role = "operator"
hash = "sha256:ec66c0be6ebd917bd5221a965472ea65b2e9cf8def0c0d21a8988271e30848b4"
"#;

#[tokio::test]
async fn whatever_the_admin_api_is_sent_it_answers_as_its_description_says() {
    let token = ["Authorization: Bearer schemathesis"];
    let (open, guarded) = tokio::join!(findings("", KNOWN, &[]), findings(LOGINS, "", &token));
    assert!(open.is_none(), "without logins: {}", open.unwrap_or_default());
    assert!(guarded.is_none(), "with logins: {}", guarded.unwrap_or_default());
}

/// What schemathesis finds in a gateway whose only node answers nobody, with these lines about logins. It knows the
/// parameters `known`, and makes up the others.
///
/// Only the tap is left out: it has no answer but a stream, which never ends. Events are asked for as a list.
async fn findings(logins: &str, known: &str, headers: &[&str]) -> Option<String> {
    let ports = PortBlock::claim().unwrap();
    let [amqp, admin, nobody] = [0, 1, 2].map(|number| ports.port(number));
    let config = format!(
        r#"
[admin]
bind = "127.0.0.1:{admin}"
{logins}
[listener.amqp]
bind = "127.0.0.1:{amqp}"
[[route]]
cluster = "main"
[cluster.main.node.n1]
address = "127.0.0.1:{nobody}"
"#
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    let folder = Scratch::new("schemathesis").unwrap();
    let document = folder.dir().join("openapi.json");
    fs::copy(repository().join("docs/openapi.json"), &document).unwrap();
    fs::write(folder.dir().join("schemathesis.toml"), known).unwrap();
    let mut command = Command::new(target::interop().unwrap().join("venv/bin/schemathesis"));
    command.current_dir(folder.dir()).arg("run").arg(document);
    command.args(["--url", &gateway.admin_url("").unwrap(), "--checks", CHECKS]);
    command.args(["--exclude-path", "/api/v1/tap", "--continue-on-failure", "--no-color"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES]);
    command.args(["--seed", "1", "--generation-database", "none", "--request-timeout", "20"]);
    // Its own opinion of how fast examples have to be made is none of this test's.
    command.args(["--suppress-health-check", "all"]);
    for header in ["Accept: application/json", "Content-Type: application/json"] {
        command.args(["--header", header]);
    }
    for header in headers {
        command.args(["--header", header]);
    }
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let output = output.expect("schemathesis ends in time").unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    (!output.status.success()).then(|| said.concat())
}
