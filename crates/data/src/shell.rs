//! Paths in commands that are printed to be copied into a shell.

use std::path::Path;

/// Marks that stand for themselves in any shell.
const PLAIN: &str = "_-./,:@%+=";

/// `path` as one word of a shell: between quotes where it has anything that a shell may read otherwise.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    match text.chars().all(|c| c.is_alphanumeric() || PLAIN.contains(c)) && !text.is_empty() {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_shell_reads_what_was_quoted_as_it_was() {
        for plain in ["runs/cnn-2", "a_b.csv", "ключ/é.png", "x:1,y=2@3%+"] {
            assert_eq!(quoted(plain.as_ref()), plain);
        }
        for odd in
            ["", "my run", "it's", "$HOME", "`id`", "a|b", "a>b", "a\\b", "~", "#1", "!x", "a\nb", "*.png", "a;b&c(d)"]
        {
            let word = quoted(odd.as_ref());
            let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), odd, "{word}");
        }
    }
}
