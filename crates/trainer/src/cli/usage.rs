//! What clap says of a command line, on one line as every other error.

use clap::error::{Error, ErrorKind};

/// The line, or nothing where clap has help or a version to print.
pub(crate) fn line(error: &Error) -> Option<String> {
    let asked = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || asked {
        return None;
    }
    let text = error.render().to_string();
    let mut line = String::new();
    for part in text.lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        if part.is_empty() {
            continue;
        }
        line += if line.is_empty() || line.ends_with(':') || part.starts_with('[') { " " } else { "; " };
        line += part;
    }
    // What the standard library says of numbers is no help.
    for (from, to) in [
        ("invalid digit found in string", "expected a whole number of 0 or more"),
        ("cannot parse integer from empty string", "expected a whole number of 0 or more"),
        ("number too large to fit in target type", "expected a smaller number"),
        ("invalid float literal", "expected a number"),
        ("cannot parse float from empty string", "expected a number"),
    ] {
        line = line.replace(from, to);
    }
    Some(format!("{}; --help says more", line.trim().trim_start_matches("error: ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_one_line() {
        let command = || clap::Command::new("x").arg(clap::arg!(--epochs <N>).value_parser(clap::value_parser!(usize)));
        let of = |arguments: &[&str]| line(&command().try_get_matches_from(arguments).unwrap_err());
        assert_eq!(
            of(&["x", "--epocs", "3"]).unwrap(),
            "unexpected argument '--epocs' found; tip: a similar argument exists: '--epochs'; --help says more"
        );
        assert_eq!(
            of(&["x", "--epochs", "three"]).unwrap(),
            "invalid value 'three' for '--epochs <N>': expected a whole number of 0 or more; --help says more"
        );
        assert_eq!(of(&["x", "--help"]), None);
    }
}
