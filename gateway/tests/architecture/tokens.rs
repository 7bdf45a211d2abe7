//! The paths that a Rust file names, read from its tokens.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A file as tokens.
pub(crate) struct Source {
    /// As shown in messages.
    pub(crate) name: String,
    /// The module that it is: `session::open`.
    pub(crate) module: String,
    tokens: Vec<TokenTree>,
}

/// A path, and the line where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: String,
    pub(crate) line: usize,
}

impl Source {
    pub(crate) fn parse(name: &str, module: &str, text: &str) -> Self {
        let tokens = TokenStream::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let tokens = tokens.into_iter().collect();
        Self { name: name.to_owned(), module: module.to_owned(), tokens }
    }

    /// Paths into this crate, from its root: those that begin with `crate`, `amqp_gateway`, `self` or `super`.
    pub(crate) fn inner_paths(&self) -> Vec<Place> {
        let mut found = Vec::new();
        let module = split(&self.module);
        visit(&self.tokens, &module, true, &mut |head, module, rest| {
            let base = match head.to_string().as_str() {
                "crate" | "amqp_gateway" => Vec::new(),
                "self" => module.to_vec(),
                "super" => module[..module.len().saturating_sub(1)].to_vec(),
                _ => return,
            };
            leaves(rest, base, head, &mut found);
        });
        found.retain(|place| !place.path.is_empty());
        found
    }

    /// All other paths, as written, `use` lists spelled out; those inside `#[cfg(test)]` only if `tests`.
    pub(crate) fn outer_paths(&self, tests: bool) -> Vec<Place> {
        let mut found = Vec::new();
        if !tests && self.module.split("::").any(|step| step == "tests") {
            return found;
        }
        visit(&self.tokens, &[], tests, &mut |head, _, rest| {
            if !["crate", "self", "super"].contains(&head.to_string().as_str()) {
                leaves(rest, vec![head.to_string()], head, &mut found);
            }
        });
        found
    }

    /// Every identifier and keyword with its line.
    pub(crate) fn words(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        words(&self.tokens, &mut found);
        found
    }

    /// Lines with `allow(unsafe_code)` or `expect(unsafe_code)`.
    pub(crate) fn lenient(&self) -> Vec<usize> {
        let words = self.words();
        let mut lines = Vec::new();
        let mut lint = "";
        for (word, line) in &words {
            match word.as_str() {
                "allow" | "expect" | "warn" | "deny" | "forbid" => lint = word,
                "unsafe_code" if ["allow", "expect", "warn"].contains(&lint) => lines.push(*line),
                _ => {}
            }
        }
        lines
    }

    /// The modules that it declares.
    pub(crate) fn modules(&self) -> Vec<String> {
        let pairs = self.tokens.windows(2).filter(|pair| is_word(&pair[0], "mod"));
        pairs.map(|pair| pair[1].to_string()).collect()
    }
}

fn split(module: &str) -> Vec<String> {
    module.split("::").filter(|step| !step.is_empty()).map(str::to_owned).collect()
}

/// Shows the head of every path, the module it stands in, and what follows its `::`. Without `tests`, what stands behind
/// `#[cfg(test)]` is left out.
fn visit(
    tokens: &[TokenTree],
    module: &[String],
    tests: bool,
    see: &mut impl FnMut(&Ident, &[String], &[TokenTree]),
) {
    let mut inner: Option<Vec<String>> = None;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let continues = at >= 2 && colons(&tokens[at - 2..]);
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '#' && !tests => {
                at += if is_cfg_test(tokens.get(at + 1)) { item(&tokens[at..]) } else { 0 };
            }
            TokenTree::Punct(sign) if sign.as_char() == ';' => inner = None,
            TokenTree::Ident(word) if word == "mod" => {
                let name = tokens.get(at + 1).map(ToString::to_string);
                inner = name.map(|name| [module, &[name]].concat());
            }
            TokenTree::Ident(head) if !continues && colons(&tokens[at + 1..]) => {
                see(head, module, &tokens[at + 3..]);
            }
            // The list of a `use` is read together with its head.
            TokenTree::Group(group) if !continues => {
                let module = inner.take().unwrap_or_else(|| module.to_vec());
                visit(&list(group), &module, tests, see);
            }
            _ => {}
        }
        at += 1;
    }
}

/// Where a path may end: `rest` is what follows `base::`.
fn leaves(rest: &[TokenTree], base: Vec<String>, at: &Ident, found: &mut Vec<Place>) {
    match rest.first() {
        Some(TokenTree::Ident(step)) => {
            let mut path = base;
            match step.to_string().as_str() {
                "self" => {}
                "super" => drop(path.pop()),
                name => path.push(name.to_owned()),
            }
            if colons(&rest[1..]) {
                return leaves(&rest[3..], path, step, found);
            }
            found.push(place(&path, step));
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ',');
            for entry in list(group).split(is_comma).filter(|entry| !entry.is_empty()) {
                leaves(entry, base.clone(), at, found);
            }
        }
        _ => found.push(place(&base, at)),
    }
}

fn place(path: &[String], at: &Ident) -> Place {
    Place { path: path.join("::"), line: at.span().start().line }
}

fn words(tokens: &[TokenTree], found: &mut Vec<(String, usize)>) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) => found.push((word.to_string(), word.span().start().line)),
            TokenTree::Group(group) => words(&list(group), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn list(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

fn colons(tokens: &[TokenTree]) -> bool {
    let is_colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ':');
    tokens.len() >= 2 && tokens[..2].iter().all(is_colon)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_cfg_test(attribute: Option<&TokenTree>) -> bool {
    attribute.is_some_and(|attribute| attribute.to_string().replace(' ', "") == "[cfg(test)]")
}

/// Tokens up to the end of the item that begins here with `#[cfg(test)]`: its braces, or a semicolon.
fn item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(sign) => sign.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    tokens.iter().position(ends).unwrap_or(tokens.len())
}
