//! Another model in the place of the one that is served: when its file changes, or on SIGHUP. Requests that were begun are answered by the model that
//! they were begun with; a file that is no model changes nothing, and is tried again after a growing while: what kept it from being read may have passed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Server;
use super::loaded::Stamp;
use super::signals::Hangup;

/// The longest wait until a file that could not be served is tried again.
const LONGEST: Duration = Duration::from_secs(60);

/// Watches until the server ends. `period`: how often the file is looked at; zero for never.
pub(crate) async fn watch(server: Arc<Server>, period: Duration, mut hangup: Hangup) {
    // A file that is being written is left alone until it stays as it is for a period.
    let (mut last, mut failed) = (None, None::<Failed>);
    loop {
        tokio::select! {
            () = hangup.next() => {
                let _ = reload(&server, None).await;
            }
            () = pause(period) => {
                let found = Stamp::of(&server.origin.path).ok();
                if let Some(stamp) = found.clone().filter(|stamp| found == last && *stamp != server.model().stamp) {
                    let before = failed.take_if(|failed| failed.stamp != stamp || failed.again <= Instant::now());
                    if failed.is_none() {
                        let before = before.filter(|before| before.stamp == stamp);
                        failed = try_again(&server, stamp, before, period).await;
                    }
                }
                last = found;
            }
        }
    }
}

/// A file that could not be served.
struct Failed {
    stamp: Stamp,
    why: String,
    wait: Duration,
    again: Instant,
}

/// Serves the file, or says when to try again. What was said of it `before` isn't said again.
async fn try_again(server: &Arc<Server>, stamp: Stamp, before: Option<Failed>, period: Duration) -> Option<Failed> {
    let why = reload(server, before.as_ref().map(|before| &*before.why)).await.err()?;
    let wait = before.map_or(period, |before| before.wait * 2).min(LONGEST);
    Some(Failed { stamp, why, wait, again: Instant::now() + wait })
}

async fn pause(period: Duration) {
    if period.is_zero() { std::future::pending().await } else { tokio::time::sleep(period).await }
}

/// Puts the file's model in the place of the one that is served, or says why not; in the log only if it is another reason than `known`.
async fn reload(server: &Arc<Server>, known: Option<&str>) -> Result<(), String> {
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
            return Ok(());
        }
        Ok(Err(failure)) => failure.line(),
        Err(error) => error.to_string(),
    };
    server.metrics.loaded(false);
    if known != Some(&*why) {
        let version = &server.model().version;
        let text = format!("`{shown}` was read again, but is not served; version {version} goes on: {why}");
        server.log.event("reload_failed", text, json!({ "reason": why, "version": version }));
    }
    Err(why)
}
