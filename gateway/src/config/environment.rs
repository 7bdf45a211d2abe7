//! What a configuration takes from its surroundings: environment variables, secrets in files, the host name.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Surroundings of a configuration, injected so that reading one stays a pure function.
pub struct Environment<'a> {
    /// Value of an environment variable; `None` = not set (or not UTF-8).
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// What stands in a file, for the `…_file` forms of secrets.
    pub file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Default of `gateway.name`.
    pub host_name: String,
}

impl Environment<'_> {
    /// The surroundings of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            variable: &|name| std::env::var(name).ok(),
            file: &super::read,
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    /// Replaces each `${NAME}` by the variable's value; `$${` stands for a literal `${`.
    ///
    /// # Errors
    /// What is wrong and what would be right, for the first expression that cannot be replaced.
    pub(super) fn expand(&self, text: &str) -> Result<String, Unexpandable> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, expression) = (&rest[..start], &rest[start + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                let _ = write!(expanded, "{before}${{");
                rest = expression;
                continue;
            }
            let Some((name, after)) = expression.split_once('}') else {
                return Err(Unexpandable::unclosed());
            };
            let value = self.value(name)?;
            expanded.push_str(before);
            expanded.push_str(&value);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn value(&self, name: &str) -> Result<String, Unexpandable> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(fits)
        {
            return Err(Unexpandable::bad_name(name));
        }
        (self.variable)(name).ok_or_else(|| Unexpandable::unset(name))
    }
}

/// Why a `${NAME}` has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unexpandable {
    pub(super) message: String,
    pub(super) advice: String,
}

impl Unexpandable {
    fn unset(name: &str) -> Self {
        Self {
            message: format!("the environment variable {name} is not set"),
            advice: format!(
                "set {name} for the gateway's process, or write $${{{name}}} for the text itself"
            ),
        }
    }

    fn unclosed() -> Self {
        Self {
            message: "a ${ without its closing }".to_owned(),
            advice: "write ${NAME} for an environment variable, $${ for the text ${".to_owned(),
        }
    }

    fn bad_name(name: &str) -> Self {
        Self {
            message: format!("{name:?} cannot be the name of an environment variable"),
            advice: "use letters, digits and underscores: ${RABBITMQ_HOST}; $${ for the text ${"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::Environment;

    fn expand(text: &str) -> Result<String, String> {
        let variable = |name: &str| (name == "HOST").then(|| "rabbit1".to_owned());
        let file = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let environment =
            Environment { variable: &variable, file: &file, host_name: String::new() };
        environment.expand(text).map_err(|e| e.message)
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        assert_eq!(expand("${HOST}:5672").as_deref(), Ok("rabbit1:5672"));
        assert_eq!(expand("a${HOST}b${HOST}").as_deref(), Ok("arabbit1brabbit1"));
    }

    #[test]
    fn a_doubled_dollar_writes_a_literal_expression() {
        assert_eq!(expand("$${HOST}").as_deref(), Ok("${HOST}"));
        assert_eq!(expand("$${ ${HOST}").as_deref(), Ok("${ rabbit1"));
    }

    #[test]
    fn a_dollar_without_a_brace_is_a_dollar() {
        assert_eq!(expand("/^eu-[0-9]+$/").as_deref(), Ok("/^eu-[0-9]+$/"));
        assert_eq!(expand("$$HOST").as_deref(), Ok("$$HOST"));
    }

    #[test]
    fn an_expression_without_a_value_is_refused() {
        assert!(expand("${PORT}").is_err_and(|m| m.contains("PORT is not set")));
        assert!(expand("${HOST").is_err_and(|m| m.contains("closing")));
        assert!(expand("${}").is_err());
        assert!(expand("${A B}").is_err());
    }
}
