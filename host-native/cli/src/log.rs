//! What the library logs, as lines on standard error: `warning: text name=value`.

use std::fmt;
use std::io;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// `off`, `error`, `warn` (the default), `info`, `debug` or `trace`.
pub(crate) const LOG: &str = "KRAUBE_LOG";

/// Warnings and errors are shown unless that is switched off: a rotation that could not be stored is told there.
pub(crate) fn start() {
    let asked = std::env::var(LOG).ok().filter(|level| !level.is_empty());
    let level = asked.as_deref().map_or(Ok(LevelFilter::WARN), str::parse);
    // Only our own events: no other crate has promised to keep secrets out of its log.
    let ours = Targets::new().with_target("kraube", level.as_ref().copied().unwrap_or(LevelFilter::WARN));
    let lines = layer().with_writer(io::stderr).with_ansi(false).event_format(Line);
    let _ = tracing_subscriber::registry().with(ours).with(lines).try_init();
    if level.is_err() {
        crate::ui::warn(&format!("{LOG} is none of off, error, warn, info, debug, trace"));
    }
}

struct Line;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N> for Line {
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(out, "{level}: ")?;
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}
