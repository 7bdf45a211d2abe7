//! Why a connection closes: reply codes (AMQP 0-9-1 section 1.2) and the close method that carries
//! them.

use std::fmt;

/// Longest reply text on the wire, in bytes: a short string has one length byte.
pub const MAX_TEXT: usize = 255;

/// A reply code of AMQP 0-9-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplyCode(pub u16);

impl ReplyCode {
    /// 200: a close that nobody regrets.
    pub const SUCCESS: Self = Self(200);
    /// 311: larger than may be transferred now.
    pub const CONTENT_TOO_LARGE: Self = Self(311);
    /// 320: an operator intervened. What client libraries reconnect after.
    pub const CONNECTION_FORCED: Self = Self(320);
    /// 403: wrong password, or no permission.
    pub const ACCESS_REFUSED: Self = Self(403);
    /// 501: a frame that cannot be read.
    pub const FRAME_ERROR: Self = Self(501);
    /// 502: a method with malformed arguments.
    pub const SYNTAX_ERROR: Self = Self(502);
    /// 503: a method in the wrong order.
    pub const COMMAND_INVALID: Self = Self(503);
    /// 504: a channel that is not open, or is already.
    pub const CHANNEL_ERROR: Self = Self(504);
    /// 505: a frame that was not expected here.
    pub const UNEXPECTED_FRAME: Self = Self(505);
    /// 530: not allowed by configuration; RabbitMQ's answer to an unknown vhost.
    pub const NOT_ALLOWED: Self = Self(530);
    /// 541: our own fault.
    pub const INTERNAL_ERROR: Self = Self(541);

    /// The constant's name in the specification, which RabbitMQ puts in front of its texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            200 => "OK",
            311 => "CONTENT_TOO_LARGE",
            312 => "NO_ROUTE",
            313 => "NO_CONSUMERS",
            320 => "CONNECTION_FORCED",
            402 => "INVALID_PATH",
            403 => "ACCESS_REFUSED",
            404 => "NOT_FOUND",
            405 => "RESOURCE_LOCKED",
            406 => "PRECONDITION_FAILED",
            501 => "FRAME_ERROR",
            502 => "SYNTAX_ERROR",
            503 => "COMMAND_INVALID",
            504 => "CHANNEL_ERROR",
            505 => "UNEXPECTED_FRAME",
            506 => "RESOURCE_ERROR",
            530 => "NOT_ALLOWED",
            540 => "NOT_IMPLEMENTED",
            541 => "INTERNAL_ERROR",
            _ => "UNKNOWN",
        }
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a connection.close says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseReason {
    /// The reply code.
    pub code: ReplyCode,
    /// The text, at most [`MAX_TEXT`] bytes.
    text: String,
}

impl CloseReason {
    /// A reason in RabbitMQ's manner: the code's name, a dash, and `cause`; cut to [`MAX_TEXT`]
    /// bytes.
    #[must_use]
    pub fn new(code: ReplyCode, cause: &str) -> Self {
        Self::verbatim(code, format!("{} - {cause}", code.name()))
    }

    /// A reason with exactly this text, cut to [`MAX_TEXT`] bytes at a character boundary.
    #[must_use]
    pub fn verbatim(code: ReplyCode, mut text: String) -> Self {
        if text.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
            text.truncate(end);
        }
        Self { code, text }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The longest beginning of `text` with at most `most` bytes that ends at a character's end.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    let end = (0..=text.len().min(most)).rev().find(|&i| text.is_char_boundary(i));
    &text[..end.unwrap_or(0)]
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_boundary() {
        let reason = CloseReason::new(ReplyCode::NOT_ALLOWED, &"é".repeat(200));
        assert!(reason.text().starts_with("NOT_ALLOWED - éé"));
        assert!(reason.text().len() <= MAX_TEXT);
        assert!(reason.text().len() >= MAX_TEXT - 1);
    }

    #[test]
    fn a_short_text_is_kept() {
        let reason = CloseReason::new(ReplyCode::CONNECTION_FORCED, "gateway gw1 is stopping");
        assert_eq!(reason.to_string(), "320 CONNECTION_FORCED - gateway gw1 is stopping");
    }
}
