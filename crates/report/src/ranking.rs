//! How well each class or label is told from the rest at every threshold: the ROC and the precision-recall curves.

use crate::Curve;
use crate::chart::{Chart, Series, lines};
use crate::html::number;

/// Curves that are drawn: the page has colours for one more line, that of chance.
const DRAWN: usize = 7;

/// The section; nothing without a curve.
pub(crate) fn section(curves: &[Curve]) -> String {
    let Some([roc, precision]) = charts(curves) else { return String::new() };
    let which = match curves.len() > DRAWN {
        true => format!(" Drawn are the {DRAWN} of {} with the smallest area under the ROC curve.", curves.len()),
        false => String::new(),
    };
    format!(
        "<section id=ranking><h2>At every threshold</h2>\n<p>Each class or label against the rest, from the surest answers to all of \
         them.{which}</p>\n<h3>ROC: of what is it, the share that is found, against the share of false alarms</h3>\n{}\
         <h3>Precision against recall</h3>\n{}</section>\n",
        roc.html(),
        precision.html(),
    )
}

/// Both kinds of curves, of those that are told apart worst.
pub(crate) fn charts(curves: &[Curve]) -> Option<[Chart; 2]> {
    let mut drawn: Vec<&Curve> = curves.iter().collect();
    drawn.sort_by(|a, b| a.auroc.total_cmp(&b.auroc));
    drawn.truncate(DRAWN);
    let areas: Vec<String> = drawn.iter().map(|curve| format!("{} {}", curve.name, number(curve.auroc))).collect();
    let areas = format!("area under the curve: {}", areas.join(", "));
    let found = "the share of the found that is right, by the share of what is it that is found";
    let (mut roc, precision) = (series(&drawn, |curve| &curve.roc), series(&drawn, |curve| &curve.precision_recall));
    if !drawn.is_empty() {
        roc.push(Series { name: "by chance".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] });
    }
    let whole = [0.0, 1.0];
    let precision = lines("Precision-recall curves", found, "recall", &precision, &whole)?;
    Some([lines("ROC curves", &areas, "false positive rate", &roc, &whole)?, precision])
}

fn series(drawn: &[&Curve], points: fn(&Curve) -> &Vec<[f64; 2]>) -> Vec<Series> {
    let one = |curve: &&Curve| Series {
        name: curve.name.clone(),
        points: points(curve).iter().map(|&[x, y]| (x, y)).collect(),
    };
    drawn.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, auroc: f64) -> Curve {
        let roc = vec![[0.0, 0.0], [1.0 - auroc, 1.0], [1.0, 1.0]];
        Curve { name: name.into(), auroc, roc, precision_recall: vec![[0.0, 1.0], [1.0, 0.5]] }
    }

    #[test]
    fn of_many_classes_those_that_are_told_apart_worst_are_drawn() {
        let curves: Vec<Curve> = (0..20).map(|at| curve(&format!("class{at}."), 0.5 + f64::from(at) / 50.0)).collect();
        let section = section(&curves);
        assert!(section.contains(">class0.<") && section.contains(">class6.<") && !section.contains(">class7.<"));
        assert!(section.contains("the 7 of 20"));
    }

    #[test]
    fn without_a_curve_there_is_no_section_and_names_are_escaped() {
        assert_eq!(section(&[]), "");
        let section = section(&[curve("<b>&\"", 0.75)]);
        assert!(!section.contains("<b>&\"") && section.contains("&lt;b&gt;") && !section.contains("Drawn are"));
    }
}
