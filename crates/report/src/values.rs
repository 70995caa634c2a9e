//! Regression: predicted against true, residuals, and where in the range the errors lie.

use crate::chart::{Bar, Chart, Guide, bars, points};
use crate::html::{grouped, name, number, table};
use crate::{HeldOut, TargetRow};

/// Points of a chart; of more samples, as many are taken at even distances.
const POINTS: usize = 2000;
/// Targets with charts of their own.
pub(crate) const CHARTED: usize = 12;

/// The table of the targets, and charts for each.
pub(crate) fn section(held_out: &HeldOut, rows: &[TargetRow]) -> String {
    let optional = |value: Option<f64>| value.map_or_else(|| "\u{2013}".to_owned(), number);
    let row = |row: &TargetRow| vec![name(&row.name), optional(row.mae), optional(row.rmse), optional(row.r2)];
    let head = ["Target", "Mean absolute error", "Root mean squared error", "R\u{b2}"];
    let mut out = format!(
        "<section id=values><h2>Predicted against true</h2>\n<p>On {}. Errors are in the units of the target; residuals are predicted less true.</p>\n{}",
        held_out.words(),
        table(&format!("Targets ({})", held_out.split), &head, &rows.iter().map(row).collect::<Vec<_>>())
    );
    rows.iter().take(CHARTED).for_each(|row| out += &target(row));
    if rows.len() > CHARTED {
        out += &format!("<p>Charts of the first {CHARTED} of {} targets are shown.</p>\n", rows.len());
    }
    out + "</section>\n"
}

fn target(row: &TargetRow) -> String {
    let mut out = format!("<h3>{}</h3>\n", name(&row.name));
    let thin = row.pairs.len().div_ceil(POINTS).max(1);
    if thin > 1 {
        out += &format!("<p class=quiet>Of {} samples one in {thin} is drawn.</p>\n", grouped(row.pairs.len() as u64));
    }
    let [predicted, residuals] = charts(row);
    out += &predicted.map_or_else(|| "<p>No finite prediction.</p>\n".to_owned(), |chart| chart.html());
    out += &residuals.map_or_else(String::new, |chart| chart.html());
    out + &by_decile(&deciles(&row.pairs))
}

/// Predicted against true, and what is left.
pub(crate) fn charts(row: &TargetRow) -> [Option<Chart>; 2] {
    let thin = row.pairs.len().div_ceil(POINTS).max(1);
    let drawn: Vec<(f64, f64)> = row.pairs.iter().copied().step_by(thin).collect();
    let residuals: Vec<(f64, f64)> = drawn.iter().map(|(truth, predicted)| (*predicted, predicted - truth)).collect();
    let about = |what: &str| format!("{what} of {}: {} points", row.name, drawn.len());
    let title = format!("Predicted against true: {}", row.name);
    let left = format!("Residuals: {}", row.name);
    [
        points(&title, &about("predicted against true numbers"), ["true", "predicted"], &drawn, Guide::Diagonal),
        points(
            &left,
            &about("residuals against predicted numbers"),
            ["predicted", "residual"],
            &residuals,
            Guide::Zero,
        ),
    ]
}

/// A tenth of the samples, by their true number.
struct Decile {
    from: f64,
    to: f64,
    samples: usize,
    mae: f64,
    bias: f64,
}

/// Samples in order of their true number, in ten parts as equal as can be; fewer where there are fewer samples. NaN is left out.
fn deciles(pairs: &[(f64, f64)]) -> Vec<Decile> {
    let mut sorted: Vec<(f64, f64)> =
        pairs.iter().copied().filter(|(truth, predicted)| truth.is_finite() && predicted.is_finite()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (n, parts) = (sorted.len(), sorted.len().min(10));
    let part = |at: usize| {
        let part = &sorted[at * n / parts..(at + 1) * n / parts];
        let mean = |of: fn(f64) -> f64| {
            part.iter().map(|(truth, predicted)| of(predicted - truth)).sum::<f64>() / part.len() as f64
        };
        Decile {
            from: part[0].0,
            to: part[part.len() - 1].0,
            samples: part.len(),
            mae: mean(f64::abs),
            bias: mean(|error| error),
        }
    };
    (0..parts).map(part).collect()
}

fn by_decile(deciles: &[Decile]) -> String {
    if deciles.is_empty() {
        return String::new();
    }
    let bar = |(at, decile): (usize, &Decile)| Bar { label: (at + 1).to_string(), value: Some(decile.mae), mark: None };
    let row = |(at, decile): (usize, &Decile)| {
        let range = format!("{} to {}", number(decile.from), number(decile.to));
        vec![(at + 1).to_string(), range, decile.samples.to_string(), number(decile.mae), number(decile.bias)]
    };
    let drawn: Vec<Bar> = deciles.iter().enumerate().map(bar).collect();
    let rows: Vec<Vec<String>> = deciles.iter().enumerate().map(row).collect();
    let head = ["Tenth", "True numbers", "Samples", "Mean absolute error", "Mean residual"];
    bars("Error by decile", "Mean absolute error by tenths of the true number", &drawn, None).html()
        + &table("Error by decile of the true number", &head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciles_hold_every_sample_once_and_their_own_errors() {
        let pairs: Vec<(f64, f64)> =
            (0..95).rev().map(|at| (f64::from(at), f64::from(at) + if at < 9 { 2.0 } else { -1.0 })).collect();
        let deciles = deciles(&pairs);
        assert_eq!((deciles.len(), deciles.iter().map(|decile| decile.samples).sum::<usize>()), (10, 95));
        assert_eq!((deciles[0].from, deciles[0].mae, deciles[0].bias), (0.0, 2.0, 2.0));
        assert_eq!((deciles[9].to, deciles[9].mae, deciles[9].bias), (94.0, 1.0, -1.0));
    }

    #[test]
    fn few_samples_and_nan_give_fewer_parts() {
        assert!(deciles(&[]).is_empty());
        assert_eq!(deciles(&[(1.0, f64::NAN), (2.0, 2.5), (3.0, 3.0)]).len(), 2);
    }
}
