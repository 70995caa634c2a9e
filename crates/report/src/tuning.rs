//! The page of a search for options: the trials from the best to the worst, what each range came to, and the best recipe.

use crate::axis::Scale;
use crate::html::{commands, document, escaped, facts, name, notes, table};
use crate::scatter::{Across, scatter};

/// Everything that the page shows. Texts are as they come: escaping is done here.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// The search's name.
    pub name: String,
    /// What people ask first, by name.
    pub facts: Vec<(String, String)>,
    /// What should be known about it, a line each.
    pub notes: Vec<String>,
    /// What to type next: what it does, and the command.
    pub commands: Vec<(String, String)>,
    /// Names of the table's columns.
    pub head: Vec<String>,
    /// A row for each trial, the best first.
    pub rows: Vec<Vec<String>>,
    /// The metric that chooses.
    pub metric: String,
    /// How far trials were trained, in words: the groups of the points.
    pub groups: Vec<String>,
    /// What each range came to.
    pub ranges: Vec<TunedRange>,
    /// The best recipe.
    pub recipe: String,
}

/// The trials over the values of one range.
#[derive(Clone, Debug, Default)]
pub struct TunedRange {
    /// Its name.
    pub name: String,
    /// Whether its numbers are spaced by their logarithms.
    pub logarithmic: bool,
    /// The names that it chooses from; a value is then a position among them. Empty for numbers.
    pub choices: Vec<String>,
    /// Value, metric and group of each trial.
    pub points: Vec<(f64, f64, usize)>,
}

impl Tuning {
    /// The whole page as HTML: one file, which loads and runs nothing.
    pub fn html(&self) -> String {
        let mut body = "<section id=summary><h2>Summary</h2>\n".to_owned() + &facts(&self.facts);
        body += &commands(&self.commands);
        body += &notes(&self.notes);
        body += "</section>\n<section id=trials><h2>Trials</h2>\n";
        let head: Vec<&str> = self.head.iter().map(String::as_str).collect();
        let shown = |cell: &String| if cell.is_empty() { String::new() } else { name(cell) };
        let cells = |row: &Vec<String>| row.iter().map(shown).collect();
        body += &table("Trials, the best first", &head, &self.rows.iter().map(cells).collect::<Vec<_>>());
        body += "</section>\n<section id=ranges><h2>Ranges</h2>\n";
        for range in &self.ranges {
            let across = match (range.choices.as_slice(), range.logarithmic) {
                ([], true) => Across::Numbers(Scale::Logarithmic),
                ([], false) => Across::Numbers(Scale::Even),
                (names, _) => Across::Names(names),
            };
            body += &format!("<h3>{} by {}</h3>\n", escaped(&self.metric), name(&range.name));
            let chart = scatter(&range.name, &self.metric, &across, &range.points, &self.groups);
            body += &chart.map_or_else(|| "<p>No trial has a result.</p>\n".to_owned(), |chart| chart.html());
        }
        body += "</section>\n<section id=best><h2>Best recipe</h2>\n";
        body += &format!(
            "<pre tabindex=0 role=region aria-label=\"best.toml\"><code>{}</code></pre></section>\n",
            escaped(&self.recipe)
        );
        let contents = [("summary", "Summary"), ("trials", "Trials"), ("ranges", "Ranges"), ("best", "Best recipe")];
        let contents = contents.map(|(id, title)| (id.to_owned(), title.to_owned()));
        document(&self.name, "tuning", "search for options", &contents, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_what_has_no_place_is_left_out() {
        let range = |name: &str, logarithmic, choices: &[&str], points| TunedRange {
            name: name.to_owned(),
            logarithmic,
            choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
            points,
        };
        let page = Tuning {
            name: "<b>x".to_owned(),
            head: vec!["Trial".to_owned()],
            rows: vec![vec!["<script>".to_owned()]],
            groups: vec!["3 epochs".to_owned(), "9 epochs".to_owned()],
            ranges: vec![
                range("lr", true, &[], vec![(1e-3, 0.5, 0), (1e-1, 0.75, 1), (0.0, 0.5, 0), (1e-2, f64::NAN, 0)]),
                range("optimizer", false, &["<sgd>", "adamw"], vec![(0.0, 0.5, 0), (1.0, 0.75, 1)]),
                range("empty", false, &[], Vec::new()),
            ],
            ..Tuning::default()
        };
        let html = page.html();
        assert!(!html.contains("<script>") && !html.contains("<b>x") && html.contains("&lt;sgd&gt;"), "{html}");
        assert_eq!(html.matches("<circle").count(), 4, "{html}");
        assert!(html.contains("No trial has a result") && !html.contains("NaN"));
    }
}
