//! `docs/access-log.md` explains every reason for which a session or a request ends.

use std::fs;
use std::path::Path;

use amqp_gateway::http::Reason;

#[test]
fn every_reason_is_explained_to_operators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/access-log.md")).expect("the page");
    let mut code = String::new();
    read_all(&root.join("src/session"), &mut code);
    read_all(&root.join("src/listener"), &mut code);
    let mut reasons = vec!["bad-frame", "client-closed", "node-closed"];
    // The literal among the arguments, if there is one.
    for call in ["End::new(", "ended(", "Refused::new("] {
        let ends = code.split(call).skip(1).filter_map(|rest| rest.split(')').next());
        reasons.extend(ends.filter_map(|arguments| arguments.split('"').nth(1)));
    }
    assert!(reasons.len() > 25, "End::new is not what it was: {reasons:?}");
    reasons.extend(Reason::ALL.iter().map(|reason| reason.as_str()));
    for reason in reasons {
        assert!(page.contains(&format!("\n| `{reason}` |")), "no line for `{reason}`");
    }
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}
