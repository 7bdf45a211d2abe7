//! What a Dockerfile says of the image that it makes: as much of the language as the project's own use.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// How a container of an image runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// `UID:GID`.
    pub(super) user: String,
    /// ENTRYPOINT and CMD, one after the other.
    pub(super) command: Vec<String>,
    /// Files of the build context, and where the image has them.
    pub(super) copies: Vec<(PathBuf, PathBuf)>,
    /// What `setcap` gives to a file, and which.
    pub(super) file_capabilities: Option<(String, PathBuf)>,
}

impl Image {
    /// Reads the last stage of a Dockerfile.
    ///
    /// # Errors
    /// When it cannot be read, or names no user by number or no command.
    pub(super) fn read(path: &Path, context: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text, context).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, context: &Path) -> Result<Self> {
        let mut image = Self {
            user: String::new(),
            command: Vec::new(),
            copies: Vec::new(),
            file_capabilities: None,
        };
        for instruction in last_stage(text) {
            let (word, rest) = instruction.split_once(' ').unwrap_or((&instruction, ""));
            match word {
                "USER" => rest.clone_into(&mut image.user),
                "ENTRYPOINT" | "CMD" => image.command.extend(list(rest)?),
                "COPY" => {
                    let (from, to) = rest.split_once(' ').context("COPY of one file")?;
                    image.copies.push((context.join(from), PathBuf::from(to)));
                }
                "RUN" => image.file_capabilities = setcap(rest).or(image.file_capabilities),
                _ => {}
            }
        }
        let numbers = image.user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0));
        ensure!(numbers, "the user is {:?}, not UID:GID of somebody but root", image.user);
        ensure!(!image.command.is_empty(), "neither ENTRYPOINT nor CMD");
        Ok(image)
    }
}

/// Instructions, each on one line, without comments.
fn last_stage(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stage = Vec::new();
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("FROM ") {
            stage.clear();
        }
        stage.push(line.to_owned());
    }
    stage
}

fn list(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).with_context(|| format!("{text} is not in the form of a list"))
}

fn setcap(commands: &str) -> Option<(String, PathBuf)> {
    let words: Vec<&str> = commands.split_ascii_whitespace().collect();
    let at = words.iter().position(|word| *word == "setcap")?;
    Some(((*words.get(at + 1)?).to_owned(), PathBuf::from(words.get(at + 2)?)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_counts() {
        let text = "FROM a AS b\nUSER 1:1\nCMD [\"no\"]\nFROM c\n# hm\nRUN x \\\n    && setcap cap_y=p /z \\\n    && w\n\
                    COPY k /l\nUSER 7:8\nENTRYPOINT [\"m\"]\nCMD [\"n\", \"o\"]\n";
        let image = Image::parse(text, Path::new("/ctx")).unwrap();
        assert_eq!(image.user, "7:8");
        assert_eq!(image.command, ["m", "n", "o"]);
        assert_eq!(image.copies, [("/ctx/k".into(), "/l".into())]);
        assert_eq!(image.file_capabilities, Some(("cap_y=p".to_owned(), "/z".into())));
    }

    #[test]
    fn root_is_refused() {
        for user in ["", "USER root\n", "USER 0:0\n"] {
            let text = format!("FROM c\n{user}CMD [\"n\"]\n");
            assert!(Image::parse(&text, Path::new("/")).is_err(), "{user:?}");
        }
    }
}
