//! The files of the web console, embedded in the binary.
//!
//! npm builds them into `dist` (`make console`). A binary that was built without them has one page that says how.

use std::borrow::Cow;

use rust_embed::RustEmbed;

/// Is the console in this binary?
pub const IS_BUILT: bool = cfg!(console_built);

/// The page that is shown instead of the console when it is not in this binary.
pub const NOT_BUILT: &str = include_str!("not-built.html");

#[derive(RustEmbed)]
#[folder = "dist"]
#[allow_missing = true]
struct Dist;

/// A file of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type.
    pub content_type: &'static str,
    /// For the header `ETag`, quotes included.
    pub etag: String,
    /// Does its name change with what is in it, so that it can be kept for ever?
    pub immutable: bool,
}

/// The file at `path`, which does not begin with a slash; the first page for the empty path. None if there is none.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Dist::get(path) else {
        return (path == "index.html" && !IS_BUILT).then(not_built);
    };
    Some(Asset {
        content_type: content_type(path),
        etag: etag(&file.metadata.sha256_hash()),
        immutable: path.starts_with("assets/"),
        bytes: file.data,
    })
}

fn not_built() -> Asset {
    Asset {
        bytes: Cow::Borrowed(NOT_BUILT.as_bytes()),
        content_type: content_type("index.html"),
        etag: "\"not-built\"".to_owned(),
        immutable: false,
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

/// Half of the hash is more than enough to tell one version of a file from another.
fn etag(hash: &[u8; 32]) -> String {
    let digits: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_first_page() {
        let first = asset("").expect("a first page");
        assert_eq!(first.content_type, "text/html; charset=utf-8");
        assert!(!first.immutable);
        assert_eq!(Some(first), asset("index.html"));
    }

    #[test]
    fn without_the_console_the_page_says_how_to_build_it() {
        assert!(NOT_BUILT.contains("make console"));
        assert!(NOT_BUILT.contains("npm ci"));
    }

    #[test]
    fn what_the_first_page_names_is_there() {
        let first = asset("").expect("a first page");
        let page = String::from_utf8_lossy(&first.bytes).into_owned();
        let named = page.split(['"', '\'']).filter_map(|text| text.strip_prefix("./"));
        for path in named {
            let asset = asset(path).unwrap_or_else(|| panic!("{path} is missing"));
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            assert!(asset.etag.starts_with('"') && asset.etag.ends_with('"'));
        }
    }

    #[test]
    fn nothing_outside_of_the_console_is_served() {
        for path in ["../Cargo.toml", "/etc/passwd", "assets", "assets/", "lib.rs"] {
            assert_eq!(asset(path), None, "{path}");
        }
    }
}
