//! Log events (crate `tracing`) as lines of text or JSON, pushed into the sink.
//!
//! Each gateway has its own [`Dispatch`], so two of them in one process do not mix their logs.

use std::fmt::{Debug, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::escape;
use super::sink::{SinkHandle, Style};
use crate::config::model::{LogFormat, LogLevel};

/// Environment variable that overrides `log.level`, e.g. `debug` or `info,amqp_gateway=trace`.
pub const LEVEL_VARIABLE: &str = "AMQP_GATEWAY_LOG";

/// Libraries whose chatter below this level helps nobody who runs a gateway.
const LIBRARIES: &str =
    "hyper=info,hyper_util=info,axum=info,tokio=info,mio=info,lapin=info,async_rs=info";

/// What health finds out through lapin it logs itself, and better.
const SILENT: &str = "lapin=off";

/// A filter in [`LEVEL_VARIABLE`] that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "environment variable {LEVEL_VARIABLE} = \"{value}\": {cause}; \
     right would be error, warn, info, debug or trace, or MODULE=LEVEL pairs with commas"
)]
pub struct FilterError {
    value: String,
    cause: String,
}

/// Changes what a running gateway logs.
#[derive(Debug, Clone)]
pub struct LevelSwitch {
    filter: reload::Handle<EnvFilter, Registry>,
    /// The environment has the last word.
    overridden: bool,
}

impl LevelSwitch {
    /// Logs from `level` on. False if [`LEVEL_VARIABLE`] is set, which counts instead.
    #[must_use]
    pub fn set(&self, level: LogLevel) -> bool {
        // It only fails where the subscriber is gone, and then nobody logs.
        let changed = || self.filter.reload(default_filter(level)).is_ok();
        !self.overridden && changed()
    }
}

/// Builds the subscriber of one gateway: install it with `tracing::dispatcher` on each thread.
///
/// # Errors
/// [`LEVEL_VARIABLE`] is set to something that is no filter.
pub fn dispatch(level: LogLevel, sink: SinkHandle) -> Result<(Dispatch, LevelSwitch), FilterError> {
    let override_ = std::env::var_os(LEVEL_VARIABLE).map(|v| v.to_string_lossy().into_owned());
    build(level, override_, sink)
}

fn build(
    level: LogLevel,
    override_: Option<String>,
    sink: SinkHandle,
) -> Result<(Dispatch, LevelSwitch), FilterError> {
    let override_ = override_.filter(|value| !value.trim().is_empty());
    let overridden = override_.is_some();
    let filter = match override_ {
        Some(value) => EnvFilter::try_new(&value)
            .map_err(|cause| FilterError { value, cause: cause.to_string() })?,
        None => default_filter(level),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let lines = Lines { sink }.with_filter(filter);
    let dispatch = Dispatch::new(Registry::default().with(lines));
    Ok((dispatch, LevelSwitch { filter: handle, overridden }))
}

fn default_filter(level: LogLevel) -> EnvFilter {
    match level {
        LogLevel::Debug | LogLevel::Trace => {
            EnvFilter::new(format!("{},{LIBRARIES}", level_name(level)))
        }
        LogLevel::Error | LogLevel::Warn | LogLevel::Info => {
            EnvFilter::new(format!("{},{SILENT}", level_name(level)))
        }
    }
}

/// A field's value as text, and whether JSON may carry it bare (numbers and booleans).
#[derive(Debug, Clone, Default)]
pub(crate) struct Value {
    text: String,
    bare: bool,
}

impl Value {
    /// For numbers (finite ones) and booleans.
    pub(crate) fn bare(value: impl ToString) -> Self {
        Self { text: value.to_string(), bare: true }
    }

    fn quoted(text: String) -> Self {
        Self { text, bare: false }
    }
}

/// One finished line without its newline.
pub(crate) fn line(
    style: Style,
    time: SystemTime,
    level: LogLevel,
    message: &str,
    fields: &[(&str, Value)],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    match style.format {
        LogFormat::Text => {
            stamp(style, time, level, &mut out);
            escape::push_message(&mut out, message);
            for (name, value) in fields {
                escape::push_display(&mut out, format_args!(" {name}="));
                escape::push_text_value(&mut out, value.text.as_bytes());
            }
        }
        LogFormat::Json => {
            stamp(style, time, level, &mut out);
            escape::push_json_message(&mut out, message);
            for (name, value) in fields {
                escape::push_display(&mut out, format_args!(",\"{name}\":"));
                if value.bare {
                    out.extend_from_slice(value.text.as_bytes());
                } else {
                    escape::push_json_string(&mut out, value.text.as_bytes());
                }
            }
            out.push(b'}');
        }
    }
    out
}

/// What every line starts with, access records included; in JSON up to the message's value.
pub(crate) fn stamp(style: Style, time: SystemTime, level: LogLevel, out: &mut Vec<u8>) {
    match style.format {
        LogFormat::Json => {
            out.extend_from_slice(b"{\"time\":\"");
            escape::push_time(out, time);
            let level = level_name(level);
            escape::push_display(out, format_args!("\",\"level\":\"{level}\",\"message\":"));
        }
        LogFormat::Text if style.stamp => {
            escape::push_time(out, time);
            let (name, colour) = level_label(level);
            if style.colour {
                escape::push_display(out, format_args!(" \x1b[{colour}m{name:<5}\x1b[0m "));
            } else {
                escape::push_display(out, format_args!(" {name:<5} "));
            }
        }
        LogFormat::Text => {}
    }
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// Name in text lines, and its colour on a terminal (SGR code).
fn level_label(level: LogLevel) -> (&'static str, u8) {
    match level {
        LogLevel::Error => ("ERROR", 31),
        LogLevel::Warn => ("WARN", 33),
        LogLevel::Info => ("INFO", 32),
        LogLevel::Debug => ("DEBUG", 34),
        LogLevel::Trace => ("TRACE", 35),
    }
}

/// The layer that turns events into lines.
struct Lines {
    sink: SinkHandle,
}

/// Fields of a span or an event, in the order in which they were given.
#[derive(Default)]
struct Fields {
    message: String,
    named: Vec<(&'static str, Value)>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.add_missing(&of_span.named);
            }
        }
        let level = severity(*event.metadata().level());
        let time = SystemTime::now();
        let line = line(self.sink.style(), time, level, &fields.message, &fields.named);
        self.sink.push(level, &line);
    }
}

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        if name == "message" {
            self.message = value.text;
        } else if let Some(known) = self.named.iter_mut().find(|known| known.0 == name) {
            known.1 = value;
        } else {
            self.named.push((name, value));
        }
    }

    /// The nearest span wins where two name the same field.
    fn add_missing(&mut self, others: &[(&'static str, Value)]) {
        for (name, value) in others {
            if !self.named.iter().any(|known| known.0 == *name) {
                self.named.push((name, value.clone()));
            }
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::bare(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::bare(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::bare(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for infinity and NaN.
        self.set(field.name(), Value { text: value.to_string(), bare: value.is_finite() });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::quoted(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // A Debug that fails leaves what it wrote so far.
        let _ = write!(text, "{value:?}");
        self.set(field.name(), Value::quoted(text));
    }
}

fn severity(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

#[cfg(test)]
mod tests;
