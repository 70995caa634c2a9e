//! Where the runtime of GPUs keeps what it has found out, in builds with the feature `persistence`: which way of a large product is the
//! fastest on a card, and programs that are compiled. Without it every process begins anew.

use std::sync::Once;

use burn::cubecl::config::cache::CacheConfig;
use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

use crate::verdicts;

/// Names the place, before a GPU is asked for anything: beside the answers that `auto` goes by. What a `cubecl.toml` says about places wins.
/// A place that cannot be written costs the time that it would have saved, never a failure.
pub(crate) fn name_the_place() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // False where somebody in this process has settled it before: a program that uses this crate may have ways of its own.
        let _ = CubeClRuntimeConfig::try_set(placed(CubeClRuntimeConfig::from_current_dir().override_from_env()));
    });
}

/// The runtime's own default is a folder of the source tree that the user happens to stand in.
fn placed(mut config: CubeClRuntimeConfig) -> CubeClRuntimeConfig {
    config.compilation.cache = true;
    if let (CacheConfig::Target, Some(folder)) = (&config.environment.path, verdicts::folder()) {
        config.environment.path = CacheConfig::Directory(folder);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_in_the_users_cache_unless_somebody_says_where() {
        let config = placed(CubeClRuntimeConfig::default());
        assert!(config.compilation.cache);
        let (found, expected) = (config.environment.path.root(), verdicts::folder());
        assert!(expected.is_none_or(|expected| found == expected), "{}", found.display());
        let mut given = CubeClRuntimeConfig::default();
        given.environment.path = CacheConfig::Directory("/there".into());
        assert_eq!(placed(given).environment.path.root(), std::path::Path::new("/there"));
    }
}
