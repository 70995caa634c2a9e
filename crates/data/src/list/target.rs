//! What the target columns of an image list mean: classes, labels or numbers.

use std::collections::BTreeSet;

use super::Rows;
use crate::{Error, OpenOptions, Outputs, Targets, TaskKind};

/// Whole numbers of up to this many different values are classes if nothing else is said.
const FEW: usize = 20;

/// The target columns, without what `--label-strip` takes off.
struct Columns<'a> {
    rows: &'a Rows,
    columns: &'a [usize],
    strip: &'a str,
}

/// Reads the target `columns` as the options, the model or their own looks say, and states which in `notes`.
pub(super) fn read(
    rows: &Rows,
    columns: &[usize],
    options: &OpenOptions,
    notes: &mut Vec<String>,
) -> Result<Targets, Error> {
    let columns = Columns { rows, columns, strip: options.label_strip.as_deref().unwrap_or("") };
    let of_model = options.like.as_ref().map(|like| match like.outputs {
        Outputs::Classes(_) => TaskKind::Classification,
        Outputs::Labels(_) => TaskKind::MultiLabel,
        Outputs::Values(_) => TaskKind::Regression,
    });
    let (task, why) = match options.task.or(of_model) {
        Some(task) => (task, String::new()),
        None => columns.guess(),
    };
    let (targets, what) = match task {
        TaskKind::Classification => (columns.classes()?, "classes"),
        TaskKind::MultiLabel if columns.columns.len() == 1 => (columns.lists()?, "labels separated by `;`"),
        TaskKind::MultiLabel => (columns.flags()?, "labels, 0 or 1 in a column each"),
        TaskKind::Regression => (columns.numbers(options.like.is_none())?, "numbers"),
    };
    let names =
        columns.columns.iter().map(|&column| format!("`{}`", rows.names[column])).collect::<Vec<_>>().join(", ");
    let change = if why.is_empty() { "" } else { "; --task changes it" };
    notes.push(format!("targets: {names} as {what}{why}{change}"));
    Ok(targets)
}

impl Columns<'_> {
    fn len(&self) -> usize {
        self.rows.records.len()
    }

    fn field(&self, row: usize, column: usize) -> &str {
        let field = &self.rows.records[row][column];
        if self.strip.is_empty() { field } else { field.trim_end_matches(|c| self.strip.contains(c)).trim_end() }
    }

    fn fields(&self, column: usize) -> impl Iterator<Item = &str> {
        (0..self.len()).map(move |row| self.field(row, column))
    }

    /// What the fields look like, and how one can tell.
    fn guess(&self) -> (TaskKind, String) {
        if let [column] = self.columns {
            if self.fields(*column).any(|field| field.contains(';')) {
                return (TaskKind::MultiLabel, String::new());
            }
            // NaN and infinity are numbers here, so that they are refused as such.
            if self.fields(*column).any(|field| !field.is_empty() && field.parse::<f64>().is_err()) {
                return (TaskKind::Classification, String::new());
            }
            let different: BTreeSet<&str> = self.fields(*column).collect();
            let whole = different.iter().all(|field| field.parse::<i64>().is_ok());
            return match whole && different.len() <= FEW {
                true => (TaskKind::Classification, format!(" ({} different whole numbers)", different.len())),
                false if whole => (TaskKind::Regression, format!(" (more than {FEW} different whole numbers)")),
                false => (TaskKind::Regression, String::new()),
            };
        }
        let flags = self.columns.iter().all(|&column| self.fields(column).all(|field| matches!(field, "0" | "1")));
        if flags { (TaskKind::MultiLabel, " (all fields are)".into()) } else { (TaskKind::Regression, String::new()) }
    }

    fn classes(&self) -> Result<Targets, Error> {
        let [column] = self.columns else {
            let what = format!("{} columns can't be one class; give one column", self.columns.len());
            return Err(Error::option("--label", what));
        };
        if let Some(row) = (0..self.len()).find(|&row| self.field(row, *column).is_empty()) {
            return Err(self.bad(row, *column, "a class"));
        }
        let names = sorted(self.fields(*column).collect());
        let values = self.fields(*column).map(|field| position(&names, field)).collect();
        Ok(Targets::Classes { names, values })
    }

    /// Labels as `a;b`; an empty field has none.
    fn lists(&self) -> Result<Targets, Error> {
        let column = self.columns[0];
        let labels = |field: &str| -> Vec<String> {
            field.split(';').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect()
        };
        let each: Vec<Vec<String>> = self.fields(column).map(labels).collect();
        let names = sorted(each.iter().flatten().map(String::as_str).collect());
        if names.is_empty() {
            let what = format!("the column `{}` is empty in every row", self.rows.names[column]);
            return Err(Error::unusable(
                &self.rows.path,
                what,
                "write labels as `a;b`, or choose another with --label",
            ));
        }
        let mut values = vec![0; each.len() * names.len()];
        for (row, labels) in each.iter().enumerate() {
            labels.iter().for_each(|label| values[row * names.len() + position(&names, label) as usize] = 1);
        }
        Ok(Targets::Labels { names, values })
    }

    fn flags(&self) -> Result<Targets, Error> {
        let flag = |row, column| match self.field(row, column) {
            "0" => Ok(0),
            "1" => Ok(1),
            _ => Err(self.bad(row, column, "0 or 1")),
        };
        Ok(Targets::Labels { names: self.names(), values: self.each(flag)? })
    }

    /// Numbers, which must vary if they are to be learnt.
    fn numbers(&self, learnt: bool) -> Result<Targets, Error> {
        let number = |row, column| {
            let number = self.field(row, column).parse::<f32>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| self.bad(row, column, "a finite number"))
        };
        let values = self.each(number)?;
        let width = self.columns.len();
        for (at, &column) in self.columns.iter().enumerate() {
            if learnt && self.len() > 1 && values.iter().skip(at).step_by(width).all(|value| *value == values[at]) {
                let what = format!("the target `{}` is {} in every row", self.rows.names[column], values[at]);
                return Err(Error::unusable(
                    &self.rows.path,
                    what,
                    "there is nothing to learn; choose another with --label",
                ));
            }
        }
        Ok(Targets::Values { names: self.names(), values })
    }

    fn names(&self) -> Vec<String> {
        self.columns.iter().map(|&column| self.rows.names[column].clone()).collect()
    }

    fn each<T>(&self, read: impl Fn(usize, usize) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        (0..self.len())
            .flat_map(|row| self.columns.iter().map(move |&column| (row, column)))
            .map(|(r, c)| read(r, c))
            .collect()
    }

    fn bad(&self, row: usize, column: usize, expected: &str) -> Error {
        let field = &self.rows.records[row][column];
        let found = if field.is_empty() { "nothing".into() } else { format!("`{field}`") };
        Error::malformed(&self.rows.path, self.rows.place(row, column), expected, found)
    }
}

/// Names in order, each once: by value where all are whole numbers, else by their bytes.
fn sorted(names: BTreeSet<&str>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or(0));
    }
    names
}

fn position(names: &[String], name: &str) -> u32 {
    names.iter().position(|known| known == name).unwrap_or(0) as u32
}
