//! The units of systemd in `packaging/systemd` are those that the documentation shows.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

#[test]
fn the_units_are_those_that_the_documentation_shows() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| fs::read_to_string(top.join(file)).unwrap();
    for (unit, page) in [
        ("packaging/systemd/amqp-gateway.service", "docs/operations.md"),
        ("packaging/systemd/vrrp.conf", "docs/vrrp.md"),
    ] {
        let shown = format!("```ini\n{}```\n", read(unit));
        assert!(read(page).contains(&shown), "{page} shows another text than {unit} has");
    }
}
