//! Features back to the fields of a row, for people to read. What `encode` lost stays lost: unknown categories are as missing ones.

use std::ops::Range;

use crate::{Column, ColumnKind, TableSpec};

impl TableSpec {
    /// Where the features of each column stand in a row's.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |column: &Column| {
            let start = end;
            end += column.features();
            start..end
        };
        self.columns.iter().map(range).collect()
    }

    /// The columns of a row from its features, before normalisation, by name; those that `features` are too few for are left out.
    pub fn fields(&self, features: &[f32]) -> Vec<(String, String)> {
        let of =
            |(column, range): (&Column, Range<usize>)| Some((column.name.clone(), column.field(features.get(range)?)));
        self.columns.iter().zip(self.ranges()).map_while(of).collect()
    }
}

impl Column {
    /// The field that became its features `own`, in words where there was none.
    fn field(&self, own: &[f32]) -> String {
        match (&self.kind, own) {
            (ColumnKind::Numeric { indicator: true, .. }, [.., 1.0]) => "missing".to_owned(),
            (ColumnKind::Numeric { .. }, own) => own.first().map_or_else(String::new, f32::to_string),
            (ColumnKind::Categorical { categories }, own) => {
                let known = own.iter().position(|&one| one == 1.0).and_then(|at| categories.get(at));
                known.cloned().unwrap_or_else(|| "missing or unknown".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_and_what_is_missing_says_so() {
        let number =
            |indicator| ColumnKind::Numeric { fill: 3.0, mean: 2.0, std: 1.0, ranks: vec![0.0, 4.0], indicator };
        let column = |name: &str, position, kind| Column { name: name.to_owned(), position, kind };
        let categories = vec!["blue".to_owned(), "red".to_owned()];
        let columns = vec![
            column("size", 0, number(true)),
            column("age", 1, number(false)),
            column("colour", 2, ColumnKind::Categorical { categories }),
        ];
        let table = TableSpec { columns, width: 3, ..TableSpec::default() };
        assert_eq!(table.ranges(), [0..3, 3..5, 5..7]);
        let fields =
            |row: [&str; 3]| table.fields(&table.encode(None, &row).unwrap()).into_iter().map(|(_, value)| value);
        assert!(fields(["1.5", "7", "red"]).eq(["1.5", "7", "red"]));
        assert!(fields(["", "", "green"]).eq(["missing", "3", "missing or unknown"]));
        assert_eq!(table.fields(&[1.0, 0.0]), []);
        assert_eq!(table.absent(), table.encode(None, &["", "", ""]).unwrap());
        assert_eq!(table.average(), table.encode(None, &["2", "2", ""]).unwrap());
    }
}
