//! Text and numbers on their way into HTML and SVG: escaping, isolation of writing directions, rounding, tables.

use std::fmt::Write;

/// `text` without any meaning to HTML, in elements and in quoted attributes alike. Control characters, which HTML cannot hold, become
/// U+FFFD; line breaks and tabs stay.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A name from outside: escaped, and isolated so that its writing direction turns nothing around it. Nothing is said as such.
pub(crate) fn name(text: &str) -> String {
    match text.trim().is_empty() {
        true => format!("<bdi class=quiet>(no name: \u{201c}{}\u{201d})</bdi>", escaped(text)),
        false => format!("<bdi>{}</bdi>", escaped(text)),
    }
}

/// Where an isolated text begins and ends.
pub(crate) const ISOLATES: [char; 2] = ['\u{2068}', '\u{2069}'];

/// A name inside of a sentence: isolated, where it is written from right to left or turns the direction, so that it turns nothing around it.
pub fn isolated(text: &str) -> String {
    let turns = |letter: char| {
        matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}')
            || matches!(letter, '\u{1e800}'..='\u{1efff}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let [begin, end] = ISOLATES;
    if text.chars().any(turns) { format!("{begin}{text}{end}") } else { text.to_owned() }
}

/// A share as percent with one digit, `\u{2013}` where there is none.
pub(crate) fn percent(share: Option<f64>) -> String {
    share
        .filter(|share| share.is_finite())
        .map_or_else(|| "\u{2013}".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Four digits that matter: `0.9812`, `48210`, `0.00001234`, `3.828e29`; what isn't finite says so.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "infinite"
        } else {
            "-infinite"
        }
        .to_owned();
    }
    let size = value.abs();
    if size >= 1e9 || (size > 0.0 && size < 1e-6) {
        return format!("{value:.3e}");
    }
    let magnitude = if size == 0.0 { 0.0 } else { size.log10().floor() };
    format!("{value:.*}", (3.0 - magnitude).clamp(0.0, 10.0) as usize)
}

/// A count with groups of three digits: `12,345`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A table that scrolls by itself on a narrow screen, by keyboard too. `head` are plain words of ours; the first cell of each row of
/// `rows`, which are HTML, is its header.
pub(crate) fn table(caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!(
        "<div class=scroll tabindex=0 role=region aria-label=\"{0}\"><table><caption>{0}</caption>\n<thead><tr>",
        escaped(caption)
    );
    head.iter().for_each(|cell| {
        let _ = write!(out, "<th scope=col>{}</th>", escaped(cell));
    });
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        out += "<tr>";
        for (at, cell) in row.iter().enumerate() {
            let _ = match at {
                0 => write!(out, "<th scope=row>{cell}</th>"),
                _ => write!(out, "<td>{cell}</td>"),
            };
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

/// Terms and what they are.
pub(crate) fn facts(of: &[(String, String)]) -> String {
    let mut out = "<dl>".to_owned();
    for (term, value) in of {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(term), escaped(value));
    }
    out + "</dl>\n"
}

/// What to type: what it does, and the command.
pub(crate) fn commands(of: &[(String, String)]) -> String {
    let mut out = "<dl>".to_owned();
    for (what, command) in of {
        let _ = write!(out, "<div><dt>{}</dt><dd><code>{}</code></dd></div>", escaped(what), escaped(command));
    }
    out + "</dl>\n"
}

/// What is missing or odd, if anything is.
pub(crate) fn notes(of: &[String]) -> String {
    if of.is_empty() {
        return String::new();
    }
    let items: String = of.iter().map(|note| format!("<li>{}</li>", name(note))).collect();
    format!("<h3>Notes</h3>\n<ul class=notes>{items}</ul>\n")
}

/// A whole page: one file, which loads and runs nothing. `kind` says what it is in the title, `about` what it is of; `contents` are the ids and
/// titles of the sections in `body`, which is HTML.
pub(crate) fn document(title: &str, kind: &str, about: &str, contents: &[(String, String)], body: &str) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n");
    out += "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n";
    out += "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<meta name=color-scheme content=\"light dark\">\n";
    let _ = write!(
        out,
        "<title>{} \u{2013} {kind}</title>\n<style>\n{}{}</style>\n</head>\n<body>\n",
        escaped(title),
        include_str!("style.css"),
        include_str!("chart.css"),
    );
    out += "<a class=skip href=#content>To the content</a>\n";
    let _ = write!(out, "<header><h1>{}</h1>\n<p>{}</p>\n<nav aria-label=Sections><ul>", name(title), escaped(about));
    for (id, title) in contents {
        let _ = write!(out, "<li><a href=#{id}>{}</a></li>", escaped(title));
    }
    out += "</ul></nav></header>\n<main id=content>\n";
    out + body + "</main>\n</body>\n</html>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_a_name() {
        assert_eq!(
            escaped("<script>alert('x')&\"</script>"),
            "&lt;script&gt;alert(&#39;x&#39;)&amp;&quot;&lt;/script&gt;"
        );
        assert_eq!(escaped("a\0b\u{1b}[2J"), "a\u{fffd}b\u{fffd}[2J");
        assert_eq!(name("\u{5e9}\u{5dc}\u{5d5}\u{5dd}"), "<bdi>\u{5e9}\u{5dc}\u{5d5}\u{5dd}</bdi>");
        assert!(name(" ").contains("no name"));
        assert_eq!(isolated("\u{5e9}\u{5dc}"), "\u{2068}\u{5e9}\u{5dc}\u{2069}");
        assert_eq!(isolated("na\u{ef}ve \u{82b1}"), "na\u{ef}ve \u{82b1}");
    }

    #[test]
    fn numbers_show_what_matters() {
        let values = [0.98124, 48210.4, 0.0, -2.71859, 3.8279e29, 1.5e-9, f64::NAN, f64::NEG_INFINITY];
        let expected = ["0.9812", "48210", "0.000", "-2.719", "3.828e29", "1.500e-9", "NaN", "-infinite"];
        assert_eq!(values.map(number), expected);
        assert_eq!([0, 12, 999, 1000, 12345, 1234567].map(grouped), ["0", "12", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!([Some(0.5), None, Some(f64::NAN)].map(percent), ["50.0 %", "\u{2013}", "\u{2013}"]);
    }
}
