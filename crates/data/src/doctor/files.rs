//! Images that are odd by themselves: unreadable, blank, far darker or noisier than the rest, of another size or mode, with an extension that
//! lies.

use super::finding::{Group, Report, Severity};
use super::look::{Look, Tone};
use super::outliers::outliers;
use super::{Place, Subject};
use crate::image::{self, Header};
use crate::{Dataset, Error, Samples};

/// How many times the distance between the quartiles brightness, contrast or detail may lie outside of them (Tukey's outer fence).
const FENCE: f64 = 3.0;
/// An area this many times larger or smaller than the median one is odd.
const AREA: f64 = 16.0;
/// So is an aspect ratio this many times the median one, or its inverse.
const RATIO: f64 = 4.0;

/// Adds what is odd about single images.
pub(super) fn find(
    dataset: &Dataset,
    subject: &Subject<'_>,
    seen: &[Option<Result<Look, Error>>],
    report: &mut Report,
) {
    let looks = || seen.iter().enumerate().filter_map(|(index, seen)| Some((index, seen.as_ref()?)));
    let mut groups = Vec::new();
    for (index, error) in looks().filter_map(|(index, look)| Some((index, look.as_ref().err()?))) {
        groups.push(Group::one(Place { detail: Some(error.to_string()), ..subject.place(index) }));
        report.exclude.push((subject.sources.name(index), "unreadable".into()));
    }
    if !groups.is_empty() {
        let what = format!("{} cannot be read", counted(groups.len(), "image"));
        let advice =
            "training stops at the first; replace them, or leave them out with `--fix FILE` and `train --exclude FILE`";
        report.add("unreadable", Severity::Error, what, groups, advice);
    }
    let readable: Vec<(usize, &Look)> =
        looks().filter_map(|(index, look)| Some((index, look.as_ref().ok()?))).collect();
    let blank: Vec<Group> =
        readable.iter().filter(|(_, look)| look.blank).map(|(index, _)| Group::one(subject.place(*index))).collect();
    if !blank.is_empty() {
        let what = format!("{} of a single colour", counted(blank.len(), "image"));
        report.add(
            "blank",
            Severity::Warning,
            what,
            blank,
            "there is nothing to learn from them; look at what went wrong",
        );
    }
    tones(subject, &readable, report);
    if let Samples::Files(files) = &dataset.samples {
        let headers: Vec<(usize, Header)> =
            readable.iter().filter_map(|(index, look)| Some((*index, look.header?))).collect();
        sizes(subject, &headers, report);
        modes(subject, &headers, report);
        let disguised = |index: usize| {
            let (named, held) = image::disguise(&files[index])?;
            Some(Group::one(Place { detail: Some(format!("named {named}, holds {held}")), ..subject.place(index) }))
        };
        let groups: Vec<Group> = readable.iter().filter_map(|(index, _)| disguised(*index)).collect();
        if !groups.is_empty() {
            let what = format!("{} with the extension of another format", counted(groups.len(), "file"));
            report.add(
                "wrong-extension",
                Severity::Note,
                what,
                groups,
                "content decides here; other programs may fail",
            );
        }
    }
}

/// Images that are far darker or brighter, paler or harsher, smoother or noisier than the others. Blank ones are another finding's.
fn tones(subject: &Subject<'_>, readable: &[(usize, &Look)], report: &mut Report) {
    let of = |name: &str, number: fn(&Tone) -> f64| {
        let tenths = |look: &Look| (number(&look.tone) * 10.0).round() / 10.0;
        let shown = readable.iter().filter(|(_, look)| !look.blank);
        outliers(subject, name, shown.map(|(index, look)| (tenths(look), *index)).collect(), FENCE)
    };
    let groups: Vec<Group> = [
        of("brightness", |tone| tone.brightness),
        of("contrast", |tone| tone.contrast),
        of("detail", |tone| tone.detail),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !groups.is_empty() {
        let what = "a few images are far darker, brighter, paler, harsher, smoother or noisier than the others";
        let advice = "a black frame, a failed exposure, a scan or a screenshot among photos? look at them";
        report.add("odd-look", Severity::Note, what, groups, advice);
    }
}

fn sizes(subject: &Subject<'_>, headers: &[(usize, Header)], report: &mut Report) {
    let median = |of: fn(&Header) -> f64| {
        let mut values: Vec<f64> = headers.iter().map(|(_, header)| of(header)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(1.0)
    };
    let area = |header: &Header| f64::from(header.height) * f64::from(header.width);
    let ratio = |header: &Header| f64::from(header.width) / f64::from(header.height);
    let (middle, shape) = (median(area), median(ratio));
    let far = |value: f64, usual: f64, times: f64| value > usual * times || value * times < usual;
    let odd = headers.iter().filter(|(_, header)| far(area(header), middle, AREA) || far(ratio(header), shape, RATIO));
    let groups: Vec<Group> = odd
        .map(|(index, header)| {
            let detail = format!("{}x{} (rows x columns)", header.height, header.width);
            Group::one(Place { detail: Some(detail), ..subject.place(*index) })
        })
        .collect();
    if !groups.is_empty() {
        let what = format!("{} much larger, smaller or longer than the others", counted(groups.len(), "image"));
        report.add("odd-size", Severity::Note, what, groups, "thumbnails, icons or scans among photos? look at them");
    }
}

fn modes(subject: &Subject<'_>, headers: &[(usize, Header)], report: &mut Report) {
    let gray = headers.iter().filter(|(_, header)| header.gray).count();
    let (few, mode) = if gray * 2 <= headers.len() { (true, "gray") } else { (false, "in colour") };
    let groups: Vec<Group> = headers
        .iter()
        .filter(|(_, header)| header.gray == few)
        .map(|(index, _)| Group::one(subject.place(*index)))
        .collect();
    if !groups.is_empty() && groups.len() < headers.len() {
        let what = format!("{} {mode}, unlike the others", counted(groups.len(), "image"));
        let advice = "all are read as RGB; `--channels 1` reads all as gray";
        report.add("odd-mode", Severity::Note, what, groups, advice);
    }
}

/// `1 image`, `2 images`, `3 copies`.
pub(super) fn counted(n: usize, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == 1 => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}
