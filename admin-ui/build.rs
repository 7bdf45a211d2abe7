//! Looks whether the console was built by npm: its files are in `dist`, and are embedded as they are.

use std::path::Path;

fn main() {
    let dist = Path::new("dist");
    // Without a directory cargo would take it for changed each time. Where none can be made, that is all that happens.
    let _ = std::fs::create_dir_all(dist);
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rustc-check-cfg=cfg(console_built)");
    if dist.join("index.html").is_file() {
        println!("cargo::rustc-cfg=console_built");
    }
}
