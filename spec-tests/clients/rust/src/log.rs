//! The SDK's log: warnings and errors are printed, errors counted. Two do not count: a response of 404 M_NOT_FOUND, which
//! the SDK logs as an error also when it asks whether something exists, and an assertion of its timeline about its own
//! order of steps, which it logs when a task is dropped between them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

struct ErrorCounter(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for ErrorCounter {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let is_absence = event.metadata().target() == "matrix_sdk::http_client"
            && text.0.contains("status_code: 404")
            && text.0.contains("kind: NotFound");
        let is_dropped_task = text.0.contains("DateDividerAdjuster has not been consumed");
        if !is_absence && !is_dropped_task {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What an event says.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{value:?} "));
    }
}

/// Starts to log, by RUST_LOG or warnings and errors; returns how many errors there were.
pub fn start() -> Arc<AtomicUsize> {
    let errors = Arc::new(AtomicUsize::new(0));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_filter(filter),
        )
        .with(ErrorCounter(errors.clone()))
        .init();
    errors
}
