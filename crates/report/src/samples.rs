//! Samples worth a look: pictures as thumbnails, rows of tables as lists.

use std::fmt::Write;

use crate::Shown;
use crate::html::name;

/// Columns of a row that are shown.
const COLUMNS: usize = 40;

/// A section of `shown` samples, or the line `none`.
pub(crate) fn section(id: &str, title: &str, none: &str, shown: &[Shown]) -> String {
    let mut out = format!("<section id={id}><h2>{title}</h2>\n");
    if shown.is_empty() {
        let _ = writeln!(out, "<p>{none}</p></section>");
        return out;
    }
    out += "<ul class=samples>\n";
    shown.iter().for_each(|sample| card(&mut out, sample));
    out + "</ul></section>\n"
}

pub(crate) fn card(out: &mut String, sample: &Shown) {
    card_with(out, sample, None);
}

/// With a second picture and what it shows.
pub(crate) fn card_with(out: &mut String, sample: &Shown, second: Option<(&str, &str)>) {
    out.push_str("<li>");
    let mut image = |uri: &str, what: &str| {
        let alt = crate::escaped(&format!("{}: {what}is {}, answered {}", sample.source, sample.truth, sample.answer));
        let _ = write!(out, "<img src=\"{uri}\" alt=\"{alt}\" loading=lazy>");
    };
    if let Some(uri) = sample.picture.as_ref().and_then(|picture| picture.uri()) {
        image(&uri, "");
    }
    if let Some((uri, what)) = second {
        image(uri, &format!("{what}; "));
    }
    if !sample.truth.is_empty() {
        let _ = write!(out, "<p><span>is</span> {}</p>", name(&sample.truth));
    }
    let _ = write!(
        out,
        "<p><span>answered</span> <bdi dir=ltr>{}</bdi></p><p class=quiet>{}</p>",
        crate::escaped(&sample.answer),
        name(&sample.source)
    );
    if !sample.row.is_empty() {
        out.push_str("<details><summary>The row</summary><dl>");
        for (column, value) in sample.row.iter().take(COLUMNS) {
            let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", name(column), name(value));
        }
        out.push_str("</dl>");
        if sample.row.len() > COLUMNS {
            let _ = write!(out, "<p class=quiet>and {} more columns</p>", sample.row.len() - COLUMNS);
        }
        out.push_str("</details>");
    }
    out.push_str("</li>\n");
}
