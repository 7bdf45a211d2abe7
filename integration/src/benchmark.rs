//! What the benchmarks have in common: their command lines, and the shape of their tables.

use anyhow::{Context, Result, bail};

/// A number of the command line that counts something.
pub fn positive(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => bail!("{text} is not a number from 1 up"),
    }
}

/// The cases of which a part of `only` is part of the name; all if `only` is empty.
pub fn chosen<T>(mut cases: Vec<T>, only: &[String], id: impl Fn(&T) -> &str) -> Result<Vec<T>> {
    for part in only {
        if !cases.iter().any(|case| id(case).contains(part.as_str())) {
            bail!("no case is called {part}; --list names them");
        }
    }
    cases.retain(|case| only.is_empty() || only.iter().any(|part| id(case).contains(&**part)));
    Ok(cases)
}

/// The peers of a list `a,b`, each once and in their own order.
pub fn peers<T: Copy + Ord>(
    all: &[T],
    list: &str,
    name: impl Fn(T) -> &'static str,
) -> Result<Vec<T>> {
    let mut peers = Vec::new();
    for wanted in list.split(',') {
        let peer = all.iter().find(|peer| name(**peer) == wanted);
        peers.push(*peer.with_context(|| format!("no peer is called {wanted}; see --help"))?);
    }
    peers.sort_unstable();
    peers.dedup();
    Ok(peers)
}

/// Columns as wide as their widest cell: the first two and the last to the left, figures to the right.
#[must_use]
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column < 2 || column + 1 == columns {
                line += &format!("{cell:<width$}  ");
            } else {
                line += &format!("{cell:>width$}  ");
            }
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}
