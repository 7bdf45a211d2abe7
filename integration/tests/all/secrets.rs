//! No secret leaves the process: not by any answer of the admin address, not by the log at its most talkative.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use integration::certificates::Authority;
use integration::peer::{Args, BrokerTune, Frame, Peer, ScriptedBroker};
use integration::ports::PortBlock;
use integration::{GatewayProcess, wait};
use serde_json::Value;

use crate::admin_http::{ADMIN, Asker, OPERATOR, VIEWER, users};
use crate::front::SOON;

const TOKEN: &str = "agw_asker-5b1f0e77c2d94a08b6aa";
const TOKEN_HASH: &str = "e94fb08a56de33618ceee0d3b46df2f8a2bf16da1aeb86603e75ff041a8a86bd";
const MONITOR: &str = "Monitor-Pw+9c4e/1d7a";
const IDENTITY: &str = "Identity-Pw-3e8b5d21";
const MAIL: &str = "Mail-Pw-77a1c0fe";
const VRRP: &str = "vRrP81xQ";
const WEBHOOK: &str = "Webhook-Token-2f94c7";
const COMMENTED: &str = "Commented-Pw-a6d03e";
const PLAIN: &str = "Client-Plain-Pw-d41c&8";
const AMQPLAIN: &str = "Client-Amqplain-Pw-0b62=";
const MISTYPED: &str = "Typed-In-The-Wrong-Field-66";

#[tokio::test]
async fn secrets_that_were_used_are_in_no_answer_and_not_in_the_log() {
    let authority = Authority::new("ca").unwrap();
    let own = authority.server(&["localhost"]).unwrap().write("gateway").unwrap();
    let key = fs::read_to_string(&own.key).unwrap();
    let broker = ScriptedBroker::bind().await.unwrap();
    let ports = PortBlock::claim().unwrap();
    let local = |index| SocketAddr::from(([127, 0, 0, 1], ports.port(index)));
    let (amqp, amqps, admin) = (local(0), local(1), local(2));
    let bundle = own.bundle.display();
    let config = format!(
        "[gateway]\nname = \"gw\"\n[log]\nlevel = \"trace\"\n\
         [admin]\nbind = \"{admin}\"\n{}\
         [[admin.token]]\nname = \"asker\"\nhash = \"sha256:{TOKEN_HASH}\"\nrole = \"admin\"\n\
         [listener.amqp]\nbind = \"{amqp}\"\ncluster = \"main\"\n\
         [listener.amqps]\nbind = \"{amqps}\"\ncluster = \"main\"\ntls.certificates = [{{ bundle = \"{bundle}\" }}]\n\
         tls.client_auth = \"optional\"\ntls.client_ca = \"{}\"\n\
         [cluster.main.node.n1]\naddress = \"{}\"\n\
         [cluster.main.identity.batch]\ncommon_name = \"batch\"\nusername = \"batch\"\npassword = \"{IDENTITY}\"\n\
         [cluster.main.health]\nchecks = []\n\
         [cluster.other.node.n1]\naddress = \"127.0.0.1:9\"\nmanagement = \"http://127.0.0.1:9\"\n\
         [cluster.other.health]\nchecks = [\"amqp\", \"management\"]\nusername = \"monitor\"\npassword = \"{MONITOR}\"\n\
         [[route]]\nvhost = \"other\"\ncluster = \"other\"\n\
         [notify.email]\nsmtp = \"127.0.0.1:9\"\nfrom = \"a@b.example\"\nto = \"c@d.example\"\ntls = \"off\"\n\
         username = \"mail\"\npassword = \"{MAIL}\"\n#password = \"{COMMENTED}\"\n",
        users(),
        authority.file().display(),
        broker.address(),
    );
    let gateway = GatewayProcess::start(&config).await.unwrap();
    let anybody = Asker::new(admin, None);
    let asker = anybody.with(format!("Authorization: Bearer {TOKEN}"));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();

    // Logins of others, right and wrong, in every way.
    let admin_login = anybody.logged_in("admin", ADMIN.0).await;
    let viewer_login = anybody.logged_in("viewer", VIEWER.0).await;
    let cookie = viewer_login.cookie.split(';').next().unwrap().to_owned();
    let viewer = anybody.with(format!("Cookie: {cookie}"));
    note(
        &mut seen,
        "a change without its token",
        viewer.ask("POST /api/v1/config/reload", "").await.1,
    );
    note(&mut seen, "wrong", anybody.login("viewer", MISTYPED).await.2.to_string());
    note(&mut seen, "mistyped", anybody.login(MISTYPED, "x").await.2.to_string());
    let body = format!("{{\"username\":\"{MISTYPED}\",\"password\":1}}");
    note(&mut seen, "misshapen", anybody.ask("POST /api/v1/login", &body).await.1);
    for line in [
        format!("Authorization: Bearer {MISTYPED}"),
        format!("Authorization: {MISTYPED}"),
        format!("Cookie: amqp_gateway_session={MISTYPED}"),
        "Authorization: Basic b3BlcmF0b3I6UHctT3BlcmF0b3ItMmE4ZA==".to_owned(),
    ] {
        note(&mut seen, &line, anybody.with(&line).ask("GET /api/v1/nodes", "").await.1);
    }

    // Sessions, one by each mechanism, while somebody taps.
    let mut tap = asker.begin("GET /api/v1/tap?bodies=4096", "").await;
    let tapped = tap.head().await.unwrap();
    let _sessions = sessions(amqp, &broker).await;
    if tapped.header("transfer-encoding").is_some() {
        let mut lines = String::new();
        while !lines.contains("channel.open-ok") {
            lines += &tap.chunk().await.unwrap();
        }
        note(&mut seen, "tap", lines);
    }

    // A configuration that is wrong, with all of them and one more.
    let wrong = format!(
        "{config}[vrrp.x]\ninterface = 5\nvirtual_router_id = 900\nversion = 2\nauthentication = \"{VRRP}\"\n\
         addresses = [\"{VRRP}\"]\n[vrrp.x.notify]\nwebhook = \"https://hooks.example/{WEBHOOK}#x\"\n[[admin.user]]\nname = \"a:b\"\npassword_hash = \"{MISTYPED}\"\nrole = \"x\"\n"
    );
    // Where it is no secret, it may be shown.
    let wrong = wrong.replace(&format!("addresses = [\"{VRRP}\"]"), "addresses = [\"x\"]");
    fs::write(gateway.dir().join("gateway.toml"), wrong).unwrap();
    for action in ["check", "diff", "reload"] {
        let answer = asker.ask(&format!("POST /api/v1/config/{action}"), "").await.1;
        note(&mut seen, action, answer);
    }
    fs::write(gateway.dir().join("gateway.toml"), config.replace(MAIL, &format!("{MAIL}2")))
        .unwrap();
    for action in ["check", "diff", "reload"] {
        let answer = asker.ask(&format!("POST /api/v1/config/{action}"), "").await.1;
        note(&mut seen, &format!("{action} again"), answer);
    }

    let asked = everything(&asker, &mut seen).await;
    assert!(asked > 20, "{asked} paths");
    wait::until("the log", SOON, async || {
        gateway.log().contains("admin gave a wrong")
            || gateway.log().contains("viewer gave a wrong")
    })
    .await
    .unwrap();
    note(&mut seen, "the log", gateway.log());

    let mut secrets: Vec<(&str, String)> = [
        ("password of the admin", ADMIN.0),
        ("hash of the admin", ADMIN.1),
        ("password of the operator", OPERATOR.0),
        ("hash of the operator", OPERATOR.1),
        ("password of the viewer", VIEWER.0),
        ("hash of the viewer", VIEWER.1),
        ("token", TOKEN),
        ("hash of the token", TOKEN_HASH),
        ("password of the checks", MONITOR),
        ("password of the identity", IDENTITY),
        ("password of the mail server", MAIL),
        ("password of VRRP", VRRP),
        ("token of the webhook", WEBHOOK),
        ("password in a comment", COMMENTED),
        ("PLAIN", PLAIN),
        ("AMQPLAIN", AMQPLAIN),
        ("what was typed into the wrong field", MISTYPED),
    ]
    .map(|(name, secret)| (name, secret.to_owned()))
    .to_vec();
    secrets.push(("login of the admin", admin_login.token));
    secrets.push(("login of the viewer", viewer_login.token));
    secrets.push(("CSRF token", viewer_login.csrf));
    let key = key.lines().filter(|line| line.len() > 30 && !line.starts_with('-'));
    secrets.extend(key.map(|line| ("private key", line.to_owned())));
    let mut found = Vec::new();
    for (name, secret) in &secrets {
        for form in forms(secret) {
            let places = seen.iter().filter(|(_, text)| text.contains(&form));
            found.extend(places.map(|(place, _)| format!("{name} ({form}) in {place}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn note(seen: &mut BTreeMap<String, String>, place: &str, text: String) {
    seen.insert(format!("{} {place}", seen.len()), text);
}

/// An open session by each mechanism.
async fn sessions(amqp: SocketAddr, broker: &ScriptedBroker) -> Vec<Peer> {
    let fields = Args::new().string("LOGIN", "app").string("PASSWORD", AMQPLAIN);
    let frame = Frame::method(0, (10, 11), fields).encode();
    let fields = frame[11..frame.len() - 1].to_vec();
    let ways = [("PLAIN", format!("\0app\0{PLAIN}").into_bytes()), ("AMQPLAIN", fields)];
    let mut open = Vec::new();
    for (mechanism, response) in ways {
        let mut client = Peer::connect(amqp).await.unwrap();
        let connect = async {
            let tune = client.login_by(mechanism, &response).await?;
            let tune_ok = Args::new().u16(tune.channel_max).u32(tune.frame_max).u16(0);
            client.send_method(0, (10, 31), tune_ok).await?;
            let opened = Args::new().shortstr("orders").shortstr("").u8(0);
            client.send_method(0, (10, 40), opened).await?;
            client.expect_method((10, 41)).await
        };
        let serve = async {
            let mut node = broker.accept().await?;
            node.serve(&BrokerTune::default()).await?;
            anyhow::Ok(node)
        };
        let (opened, node) = tokio::join!(connect, serve);
        opened.unwrap();
        let mut node = node.unwrap();
        let answer = async {
            node.expect_method((20, 10)).await?;
            node.send_method(1, (20, 11), Args::new().longstr(b"")).await
        };
        let (opened, answered) = tokio::join!(client.open_channel(1), answer);
        opened.unwrap();
        answered.unwrap();
        open.extend([client, node]);
    }
    open
}

/// Asks for every path of the document that shows something; how many there are.
async fn everything(asker: &Asker, seen: &mut BTreeMap<String, String>) -> usize {
    let json = asker.with("Accept: application/json");
    let document = json.ask("GET /api/openapi.json", "").await.1;
    let document: Value = serde_json::from_str(&document).unwrap();
    let sessions = json.ask("GET /api/v1/sessions", "").await.1;
    let sessions: Value = serde_json::from_str(&sessions).unwrap_or_default();
    let session = sessions["sessions"][0]["id"].to_string().replace('"', "");
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if item["get"].is_null() || path == "/api/v1/tap" {
            continue;
        }
        let names = [
            ("{cluster}", "other"),
            ("{node}", "n1"),
            ("{name}", "amqp"),
            ("{position}", "1"),
            ("{revision}", "1"),
            ("{id}", &session),
        ];
        let mut path = path.clone();
        for (name, value) in names {
            path = path.replace(name, value);
        }
        for path in [path.clone(), format!("{path}?{MISTYPED}"), format!("{path}/{MISTYPED}")] {
            let (head, text) = json.ask(&format!("GET {path}"), "").await;
            // What somebody sent, they may be told again.
            let text = if path.contains(MISTYPED) { text.replace(MISTYPED, "") } else { text };
            note(seen, &path, format!("{:?}\n{text}", head));
        }
        asked += 1;
    }
    for path in
        ["/metrics", "/health/ready", "/", "/api/v1/config/revisions/2", "/api/v1/nodes/main/n1"]
    {
        note(seen, path, json.ask(&format!("GET {path}"), "").await.1);
    }
    asked
}

/// A secret as it is, and as it looks in URLs, in hexadecimal, in JSON and in the midst of base64.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let url = secret.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    let mut forms = vec![secret.to_owned(), hex, url.collect(), secret.replace('/', "\\/")];
    for shift in 0..3 {
        let shifted = [&b"xxx"[..shift], secret.as_bytes()].concat();
        let encoded = base64(&shifted);
        // The first and the last characters hang on what stands beside the secret.
        let end = encoded.len() - usize::from(shifted.len() % 3 > 0);
        let inner = &encoded[[0, 2, 3][shift]..end];
        forms.push(inner.to_owned());
        forms.push(inner.replace('+', "-").replace('/', "_"));
    }
    forms.retain(|form| form.len() >= 8);
    forms.sort();
    forms.dedup();
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        let letters = (0..=group.len()).map(|at| LETTERS[(bits >> (18 - 6 * at) & 63) as usize]);
        letters.map(char::from).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[test]
fn a_secret_is_found_in_base64_wherever_it_stands() {
    assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw");
    for before in ["", "a", "ab", "abc", "user:"] {
        let text = base64(format!("{before}{PLAIN} and more").as_bytes());
        assert!(forms(PLAIN).iter().any(|form| text.contains(form)), "{before}");
    }
}
