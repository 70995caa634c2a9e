//! Why a device could not be had. Every message says what to write or build instead.

/// An error of choosing a device. Its message is one line that a user can act on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name means nothing.
    #[error("--device {name}: unknown device{}; this build has {available}", nearest.map(|near| format!(", did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<&'static str>,
        /// The names that this build accepts.
        available: String,
    },
    /// The part after the colon is no number, or the backend has only one device.
    #[error("--device {name}: {what}")]
    Index {
        /// What was asked for.
        name: String,
        /// What was expected.
        what: String,
    },
    /// The backend exists but was left out of this build.
    #[error("--device {name}: this build has {available}; build again with `--features {feature}` to add {feature}")]
    NotBuilt {
        /// What was asked for.
        name: String,
        /// The Cargo feature that adds it.
        feature: &'static str,
        /// The names that this build accepts.
        available: String,
    },
    /// The backend is there, the hardware or its driver is not.
    #[error("--device {name}: not usable on this machine ({reason}); `--device auto` takes what there is")]
    Unusable {
        /// What was asked for.
        name: String,
        /// What the driver or the framework said.
        reason: String,
    },
    /// The device is there and doesn't compute in this number format.
    #[error("--precision {precision}: not usable on {device} ({reason}); there are {available}")]
    Precision {
        /// What was asked for.
        precision: String,
        /// Where.
        device: String,
        /// What the driver or the framework said.
        reason: String,
        /// The formats that it computes in.
        available: String,
    },
    /// No backend feature is on at all.
    #[error(
        "this build has no backend: build again with `--features flex` (any CPU), `ndarray`, `wgpu`, `vulkan`, `metal` or `cuda`"
    )]
    NoBackend,
}

impl Error {
    /// Whether the user's command line is at fault (exit code 2) rather than the machine.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::NoBackend)
    }
}
