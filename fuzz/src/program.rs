//! Those parts of the `trainer` binary that read texts, as modules of a target: a binary's modules cannot be depended on. The target names them
//! at its root, where they look for one another.

#![allow(dead_code, unused_imports, reason = "a target uses a part of the program")]

#[path = "../../crates/trainer/src/cli"]
pub(crate) mod cli {
    pub(crate) mod failure;
    pub(crate) mod options;
    pub(crate) mod settle;
    pub(crate) mod stream;
}

#[path = "../../crates/trainer/src/manifest.rs"]
pub(crate) mod manifest;

/// Nothing is downloaded here.
pub(crate) mod fetch {
    #[derive(Debug)]
    pub(crate) struct Error;

    impl Error {
        pub(crate) fn exit_code(&self) -> u8 {
            1
        }
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no network")
        }
    }

    impl std::error::Error for Error {}
}
