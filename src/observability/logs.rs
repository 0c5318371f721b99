//! Our own log: one line per event, on standard error.
//!
//! Text for people and JSON for machines. What peers say enters only as fields, and a field can neither break a line nor
//! steer a terminal: control and bidirectional characters are written as escapes.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::util::SubscriberInitExt;

use super::plain::Plain;

/// The names of fields that several places log, so that a search finds them all. In the macros: `{ field::AGENT } = %id`.
pub mod field {
    /// The agent record, as in URLs.
    pub const AGENT: &str = "agent";
    /// Who acted: a user, an API token, the local operator.
    pub const ACTOR: &str = "actor";
    /// The peer's address.
    pub const PEER: &str = "peer";
    /// The number of a request, also given to the one who made it.
    pub const REQUEST: &str = "request";
    /// The credential that was used, by its public part.
    pub const CREDENTIAL: &str = "credential";
    /// A group by its name.
    pub const GROUP: &str = "group";
    /// A rollout by its number.
    pub const ROLLOUT: &str = "rollout";
    /// A background task by its name.
    pub const TASK: &str = "task";
    /// How long it took, in milliseconds.
    pub const DURATION_MS: &str = "duration_ms";
    /// What went wrong.
    pub const ERROR: &str = "error";
}

/// What our own log holds and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Directives such as `info,muster::agent_plane=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How the lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for LogFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// The text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the format of the log is auto, text or json")]
pub struct UnknownFormat;

/// Why the log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not a list of directives.
    #[error("the level of the log is not valid")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("the log was started twice")]
    Started(#[source] tracing_subscriber::util::TryInitError),
}

/// Whether `level` may stand in [`LogSettings::level`].
#[must_use]
pub fn is_level(level: &str) -> bool {
    EnvFilter::builder().parse(level).is_ok()
}

/// Starts the log of this process, on standard error. Panics become lines of it.
///
/// # Errors
/// A level that doesn't parse, or a log that runs already.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let terminal = std::io::stderr().is_terminal();
    let format = match settings.format {
        LogFormat::Auto if terminal => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        chosen @ (LogFormat::Text | LogFormat::Json) => chosen,
    };
    let filter = EnvFilter::builder()
        .parse(&settings.level)
        .map_err(LogError::Level)?;
    match format {
        LogFormat::Json => json(filter, std::io::stderr).try_init(),
        LogFormat::Auto | LogFormat::Text => text(filter, terminal, std::io::stderr).try_init(),
    }
    .map_err(LogError::Started)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let said = panic.payload_as_str().unwrap_or("a panic without a message");
        tracing::error!(place, "panicked: {said}");
    }));
    Ok(())
}

fn text<W>(filter: EnvFilter, colours: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let fields = debug_fn(|writer, field, value| {
        let mut writer = Plain(writer);
        match field.name() {
            "message" => write!(writer, "{value:?}"),
            name => write!(writer, "{name}={value:?}"),
        }
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .fmt_fields(tracing_subscriber::field::MakeExt::delimited(fields, " "))
        .with_writer(writer)
        .finish()
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::observability::plain::is_plain;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Captured {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    const HOSTILE: &str = "web\n2026-01-01 INFO forged\r\x1b[2J\u{9b}31m{\"a\":1}\u{202e}gpj.exe";

    fn log_hostile() {
        let span = tracing::info_span!("connection", host = %HOSTILE);
        let _inside = span.enter();
        tracing::info!(by_display = %HOSTILE, by_debug = ?HOSTILE, by_value = HOSTILE, "agent {HOSTILE} connected");
    }

    fn filter() -> EnvFilter {
        EnvFilter::builder().parse("info").unwrap()
    }

    #[test]
    fn a_hostile_host_name_is_one_escaped_line_of_text() {
        let captured = Captured::default();
        tracing::subscriber::with_default(text(filter(), false, captured.clone()), log_hostile);
        let text = captured.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n'));
        assert!(text.trim_end().chars().all(is_plain), "{text:?}");
        assert_eq!(
            text.matches("web\\n2026-01-01 INFO forged\\r\\u{1b}[2J").count(),
            5,
            "{text}"
        );
        assert!(text.contains("by_display=web"));
    }

    #[test]
    fn a_hostile_host_name_is_one_json_object() {
        let captured = Captured::default();
        tracing::subscriber::with_default(json(filter(), captured.clone()), log_hostile);
        let text = captured.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.contains('\x1b'));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["by_display"], HOSTILE);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_level_may_name_modules() {
        assert!(is_level("info") && is_level("warn,muster::agent_plane=trace"));
        assert!(!is_level("info,muster=loudest"));
    }
}
