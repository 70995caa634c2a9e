//! Tables as a model reads them, whole and row by row.

use super::*;

fn like(dataset: &Dataset, outputs: Outputs) -> OpenOptions {
    OpenOptions { like: Some(Like { input: dataset.input.clone(), outputs }), ..OpenOptions::default() }
}

#[test]
fn a_model_reads_tables_as_it_was_trained() {
    let trained = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    // Its own order of classes, whatever a new table holds.
    let outputs = || Outputs::Classes(vec!["dog".into(), "cat".into(), "eel".into()]);
    let turned = Made::new("kind,size,colour,x\ncat,7,red,3\n").load(like(&trained, outputs())).unwrap();
    assert_eq!(turned.input, trained.input);
    assert_eq!(row(&turned, 0), [3.0, 0.0, 0.0, 1.0, 7.0]);
    assert!(matches!(&turned.targets, Targets::Classes { names, values } if names.len() == 3 && values == &[1]));
    let bare = Made::new("3,red,cat,7\n").load(like(&trained, outputs())).unwrap();
    assert_eq!(features(&bare), features(&turned));
    let renamed = OpenOptions { label: vec!["animal".into()], ..like(&trained, outputs()) };
    assert!(Made::new("animal,size,colour,x\ncat,7,red,3\n").load(renamed).is_ok());
    let refusal = |text: &str| Made::new(text).refusal(like(&trained, outputs()));
    assert!(refusal("size,colour,x\n7,red,3\n").contains("has no column `kind`, which the model predicts"));
    assert!(
        refusal("kind,size,color,x\ncat,7,red,3\n")
            .contains("expected a column `colour`, found none of that name (but `color`)")
    );
    assert!(
        refusal("kind,size,colour,x\ncatt,7,red,3\n")
            .contains("line 2: `catt` is no class of the model; did you mean `cat`?")
    );
    assert!(
        refusal("3,red,cat,7,8\n").contains("expected 4 fields as in the table trained on or, without the target, 3")
    );
}

#[test]
fn regression_models_read_whole_numbers_as_numbers() {
    let trained = Made::new(sixty(true, ",")).load(label("size")).unwrap();
    let text = "x,colour,kind,size\n1,red,cat,4\n2,red,cat,4\n";
    let dataset = Made::new(text).load(like(&trained, Outputs::Values(vec!["size".into()]))).unwrap();
    assert_eq!(dataset.targets, Targets::Values { names: vec!["size".into()], values: vec![4.0, 4.0] });
}

#[test]
fn rows_to_predict_come_one_by_one_and_a_bad_one_stops_nothing() {
    let trained = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let predict = |text: &[u8]| -> Vec<Result<Vec<f32>, String>> {
        let rows = rows(text, Path::new("stdin"), spec(&trained)).unwrap();
        rows.map(|row| row.features.map_err(|error| error.to_string())).collect()
    };
    let good = spec(&trained).encode(None, &["3", "red", "cat", "7"]).unwrap();
    let texts: [&[u8]; 5] = [
        b"x,colour,kind,size\n3,red,cat,7\n",
        b"colour;size;x\nred;7;3\n",
        b"3\tred\tcat\t7\n",
        b"3,red,7",
        b"Size,X,id,Colour\r\n7,3,12,\"red\"\r\n",
    ];
    for text in texts {
        assert_eq!(predict(text), [Ok(good.clone())], "{}", String::from_utf8_lossy(text));
    }
    let mixed = predict(b"x,colour,size\n3,red,7\nred,3,7\n3,red\n\n3,\xff,7\n3,red,7\n");
    assert_eq!((&mixed[0], &mixed[4]), (&Ok(good.clone()), &Ok(good)));
    let said = |row: usize| mixed[row].clone().unwrap_err();
    assert_eq!(said(1), "`stdin` line 3, column `x`: expected a number, found `red`");
    assert_eq!(said(2), "`stdin` line 4: expected 3 fields, found 2");
    assert!(said(3).starts_with("`stdin` line 6: expected UTF-8 text"));
    let refused =
        |text: &str| rows(text.as_bytes(), Path::new("stdin"), spec(&trained)).map(|_| ()).unwrap_err().to_string();
    assert!(refused("x,size\n1,2\n").contains("expected a column `colour`"));
    assert!(refused("").contains("has no row in its first line"));
}

#[test]
fn rows_of_a_single_column_are_read() {
    let text = "x,y\n".to_owned() + &(0..40).map(|row| format!("{row}.5,{}\n", row % 2)).collect::<String>();
    let trained = Made::new(text).load(label("y")).unwrap();
    for text in ["x\n1\n2\n", "1\n2\n", "1\n\n2"] {
        let rows = rows(text.as_bytes(), Path::new("-"), spec(&trained)).unwrap();
        assert_eq!(rows.map(|row| row.features.unwrap()[0]).collect::<Vec<_>>(), [1.0, 2.0], "{text:?}");
    }
}

#[test]
fn rows_without_a_leading_target_shift_into_place() {
    let text: String = (0..40).map(|row| format!("{},{}.5,{}\n", ["p", "q"][row % 2], row, row * 3)).collect();
    let trained = Made::new(text).load(label("1")).unwrap();
    let first = rows("6.5,18\n".as_bytes(), Path::new("-"), spec(&trained)).unwrap().next().unwrap();
    assert_eq!((first.line, without_ranks(spec(&trained), &first.features.unwrap())), (1, vec![6.5, 18.0]));
    let headed = rows("label,a,b\np,6.5,18\n".as_bytes(), Path::new("-"), spec(&trained)).unwrap();
    assert_eq!(headed.map(|row| row.line).collect::<Vec<_>>(), [2]);
}

#[test]
fn encoding_a_row_equals_loading_its_table() {
    let text = sixty(true, ",");
    let dataset = Made::new(&text).load(label("kind")).unwrap();
    let header = ["x", "colour", "kind", "size"].map(String::from);
    for (line, loaded) in text.lines().skip(1).zip(features(&dataset).chunks(7)) {
        let row: Vec<&str> = line.split(',').collect();
        assert_eq!(spec(&dataset).encode(Some(&header), &row).unwrap(), loaded);
    }
    assert!(
        spec(&dataset).encode(Some(&header), &["1"]).unwrap_err().to_string().contains("expected 4 fields, found 1")
    );
}

#[test]
fn the_recipe_survives_json() {
    let dataset = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let json = serde_json::to_string(&dataset.input).unwrap();
    assert_eq!(serde_json::from_str::<InputSpec>(&json).unwrap(), dataset.input);
}

#[test]
fn equal_seeds_give_equal_data_sets() {
    let made = Made::new(sixty(true, ","));
    let (a, b) = (made.load(label("kind")).unwrap(), made.load(label("kind")).unwrap());
    assert_eq!((&a.input, &a.split, features(&a)), (&b.input, &b.split, features(&b)));
    let other = made.load(OpenOptions { seed: 1, ..label("kind") }).unwrap();
    assert_ne!(a.split, other.split);
}
