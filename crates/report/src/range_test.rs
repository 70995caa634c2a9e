//! The page of a learning-rate range test: the loss over the rate, what it suggests, and the numbers.

use crate::axis::Scale;
use crate::chart::{Chart, Series, lines_over};
use crate::html::{commands, document, escaped, facts, notes, number, table};
use crate::sheet::Sheet;

/// Everything that the page shows. Texts are as they come: escaping is done here.
#[derive(Clone, Debug, Default)]
pub struct RangeTest {
    /// What was tried.
    pub name: String,
    /// What people ask first, by name.
    pub facts: Vec<(String, String)>,
    /// What should be known about it, a line each.
    pub notes: Vec<String>,
    /// Rate, loss and smoothed loss of each step.
    pub points: Vec<[f64; 3]>,
    /// The greatest loss that is drawn: what diverges would hide all the rest.
    pub top: f64,
    /// Rates that are marked.
    pub marks: Vec<f64>,
    /// What to type next: what it does, and the command.
    pub commands: Vec<(String, String)>,
}

impl RangeTest {
    /// The whole page as HTML: one file, which loads and runs nothing.
    pub fn html(&self) -> String {
        let mut body = "<section id=summary><h2>Summary</h2>\n".to_owned() + &facts(&self.facts);
        body += &commands(&self.commands);
        body += &notes(&self.notes);
        body += "</section>\n<section id=curve><h2>Loss by learning rate</h2>\n";
        body += &self.chart().map_or_else(|| "<p>No finite number.</p>\n".to_owned(), |chart| chart.html());
        let row = |point: &[f64; 3]| vec![escaped(&format!("{:.3e}", point[0])), number(point[1]), number(point[2])];
        let rows: Vec<Vec<String>> = self.points.iter().map(row).collect();
        let listed = table("Steps", &["Learning rate", "Loss", "Smoothed"], &rows);
        body += &format!("<details><summary>The numbers</summary>{listed}</details>\n</section>\n");
        let contents =
            [("summary", "Summary"), ("curve", "Curve")].map(|(id, title)| (id.to_owned(), title.to_owned()));
        document(&self.name, "learning rate", "learning-rate range test", &contents, &body)
    }

    /// The curve as a file of its own; none without a finite point.
    pub fn sheet(&self) -> Option<Sheet> {
        self.chart().map(|chart| Sheet::of_charts(&[chart]))
    }

    fn chart(&self) -> Option<Chart> {
        let line = |name: &str, at: usize| Series {
            name: name.to_owned(),
            points: self.points.iter().map(|point| (point[0], point[at].min(self.top))).collect(),
        };
        let (first, last) = (self.points.first()?, self.points.last()?);
        let description = format!(
            "smoothed loss from {} at a rate of {:.2e} to {} at {:.2e}",
            number(first[2]),
            first[0],
            number(last[2]),
            last[0]
        );
        let across = ("learning rate", Scale::Logarithmic);
        let series = [line("smoothed loss", 2), line("loss of each batch", 1)];
        lines_over("Loss by learning rate", &description, across, &series, &[], &self.marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_losses_beyond_the_top_are_drawn_at_it() {
        let mut page = RangeTest {
            name: "<script>".to_owned(),
            points: vec![[1e-7, 2.0, 2.0], [1e-3, 1.0, 1.5], [1.0, 1e30, 1e29]],
            top: 4.0,
            marks: vec![1e-3],
            ..RangeTest::default()
        };
        let html = page.html();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>") && html.contains("1.000e30"));
        assert!(html.matches("class='mark'").count() == 1 && !html.contains("NaN"), "{html}");
        assert!(page.sheet().unwrap().png().unwrap().starts_with(b"\x89PNG"));
        page.points.clear();
        assert!(page.sheet().is_none() && page.html().contains("No finite number"));
    }
}
