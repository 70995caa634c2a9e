//! Another model in the place of the one that is served: when its file changes, or on SIGHUP. Requests that were begun are answered by the model that
//! they were begun with; a file that is no model changes nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Server;
use super::loaded::Stamp;

/// Watches until the server ends. `period`: how often the file is looked at; zero for never.
pub(crate) async fn watch(server: Arc<Server>, period: Duration) {
    let mut hangup = Hangup::new();
    // A file that is being written is left alone until it stays as it is for a period.
    let (mut last, mut tried) = (None, None);
    loop {
        tokio::select! {
            () = hangup.next() => {
                reload(&server).await;
            }
            () = pause(period) => {
                let found = Stamp::of(&server.origin.path).ok();
                let settled = found.is_some() && found == last;
                if settled && found.as_ref() != Some(&server.model().stamp) && found != tried {
                    tried.clone_from(&found);
                    reload(&server).await;
                }
                last = found;
            }
        }
    }
}

async fn pause(period: Duration) {
    if period.is_zero() { std::future::pending().await } else { tokio::time::sleep(period).await }
}

async fn reload(server: &Arc<Server>) {
    let origin = server.origin.clone();
    let loaded = tokio::task::spawn_blocking(move || origin.load()).await;
    let shown = server.origin.path.display();
    let why = match loaded {
        Ok(Ok(model)) => {
            let (before, version) = (server.model().version.clone(), model.version.clone());
            server.replace(model);
            server.metrics.loaded(true);
            let text = format!("`{shown}` was read again: version {version} in the place of {before}");
            server.log.event("reloaded", text, json!({ "version": version, "before": before }));
            return;
        }
        Ok(Err(failure)) => failure.line(),
        Err(error) => error.to_string(),
    };
    server.metrics.loaded(false);
    let text =
        format!("`{shown}` was read again, but is not served; version {} goes on: {why}", server.model().version);
    server.log.event("reload_failed", text, json!({ "reason": why, "version": server.model().version }));
}

/// SIGHUP, where there is such a thing.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
