//! What is learned, and targets that nothing can be learned from.

use super::*;

#[test]
fn the_task_follows_from_the_target_and_can_be_named() {
    let mut text = String::from("x,codes,count,flag,real,other\n");
    for row in 0..60 {
        text += &format!("{row},{},{row},{},{}.5,{}\n", 12 - row % 3, row % 2 == 0, row, u8::from(row % 3 == 0));
    }
    let made = Made::new(&text);
    let targets = |options: OpenOptions| made.load(options).unwrap().targets;
    // In the order of the numbers, not of the text.
    let mixed = "x,codes\n".to_owned() + &(0..40).map(|row| format!("{row},{}.0\n", 8 + row % 3)).collect::<String>();
    assert_eq!(Made::new(mixed).load(label("codes")).unwrap().targets.names(), ["8", "9", "10"]);
    assert!(matches!(targets(label("codes")), Targets::Classes { .. }));
    assert!(matches!(targets(label("count")), Targets::Values { .. }));
    assert!(matches!(targets(label("real")), Targets::Values { .. }));
    assert_eq!(targets(label("flag")).names(), ["false", "true"]);
    assert!(matches!(targets(label("codes,real")), Targets::Values { names, .. } if names == ["codes", "real"]));
    assert!(matches!(targets(label("flag,other")), Targets::Labels { values, .. } if values[..4] == [1, 1, 0, 0]));
    let named = OpenOptions { task: Some(TaskKind::Regression), ..label("codes") };
    assert!(matches!(targets(named), Targets::Values { values, .. } if values[0] == 12.0));
    let stated = notes(&made.load(label("codes")).unwrap());
    assert!(stated.contains("3 different whole numbers: taken for classes (`--task regression`"), "{stated}");
}

#[test]
fn lists_of_labels_are_read_where_the_task_says_so() {
    let text = "x,tags\n".to_owned()
        + &(0..30).map(|row| format!("{row},{}\n", ["a; b", "", "b|c"][row % 3])).collect::<String>();
    let options = OpenOptions { task: Some(TaskKind::MultiLabel), ..label("tags") };
    let Targets::Labels { names, values } = Made::new(text).load(options).unwrap().targets else { panic!("labels") };
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(values[..9], [1, 1, 0, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn rows_without_a_target_are_left_out_and_counted() {
    let text = "x,damage\n".to_owned()
        + &(0..40).map(|row| format!("{row},{}\n", ["none", "major", "", "?"][row % 4])).collect::<String>();
    let dataset = Made::new(text).load(label("damage")).unwrap();
    assert_eq!((dataset.len(), dataset.targets.names()), (20, ["major", "none"].map(String::from).as_slice()));
    assert!(
        notes(&dataset).contains("20 rows without a target left out (the first is table.csv:4)"),
        "{}",
        notes(&dataset)
    );
    assert_eq!(dataset.sources.name(2), "table.csv:6");
}

#[test]
fn a_class_that_only_the_test_table_has_is_named_with_its_neighbour() {
    let made = Made::new(sixty(true, ","));
    let dotted = made.add("dotted.csv", "3,red,cat.,7\n");
    let options = OpenOptions { test: Some(dotted), ..label("kind") };
    let message = made.refusal(options.clone());
    assert!(message.ends_with(
        "line 1: `cat.` is no class of `table.csv`; did you mean `cat`? `--label-strip .` cuts the end off"
    ));
    assert_eq!(made.load(OpenOptions { label_strip: Some(".".into()), ..options }).unwrap().split.test, [60]);
    let options = OpenOptions { test: Some(made.add("other.csv", "3,red,dogg,7\n")), ..label("kind") };
    assert!(made.refusal(options).ends_with("did you mean `dog`?"));
}

#[test]
fn a_target_must_be_named_and_there() {
    let made = Made::new(sixty(true, ","));
    let message = made.refusal(OpenOptions::default());
    assert!(
        message.contains("the columns x, colour, kind, size; name the one to predict, such as `--label 'size'`"),
        "{message}"
    );
    let message = Made::new(sixty(false, ",")).refusal(OpenOptions::default());
    assert!(
        message.contains("4 columns without a header; say which one to predict, counted from 1, such as `--label 4`"),
        "{message}"
    );
    assert!(made.refusal(label("kinds")).contains("has no column `kinds`; did you mean `kind`?"));
    assert!(made.refusal(label("5")).contains("has no column `5`; expected one of x, colour"));
    assert!(made.refusal(label("kind,3")).contains("`3` is named twice"));
    assert!(made.refusal(OpenOptions { drop: vec!["kind".into()], ..label("kind") }).contains("`kind` is the target"));
    assert!(load(&made.path(), &label("kinds")).unwrap_err().is_usage());
}

#[test]
fn unusable_targets_are_refused() {
    let table = |target: fn(usize) -> String| {
        Made::new("x,y\n".to_owned() + &(0..50).map(|row| format!("{row}.5,{}\n", target(row))).collect::<String>())
    };
    let refusal = |target, options| table(target).refusal(options);
    assert!(refusal(|_| "same".into(), label("y")).contains("target `y` is the same in every row"));
    assert!(refusal(|_| "4.5".into(), label("y")).contains("target `y` is the same in every row"));
    assert!(refusal(|_| "?".into(), label("y")).contains("no row with a target in `y`"));
    assert!(
        refusal(|row| format!("name {row}"), label("y")).contains("50 different values in 50 rows; names or free text")
    );
    let text = OpenOptions { task: Some(TaskKind::Regression), ..label("y") };
    assert!(refusal(|row| format!("t{}", row % 2), text).contains("line 2, column `y`: expected a number, found `t0`"));
    let one = |row| if row == 9 { "oops".into() } else { format!("{row}.25") };
    assert!(refusal(one, label("y")).contains("line 11, column `y`: expected a number as in the column's other rows"));
    let infinite = |row| if row == 9 { "-inf".into() } else { format!("{row}.25") };
    assert!(
        refusal(infinite, label("y")).contains("line 11, column `y`: expected a finite 32-bit number, found `-inf`")
    );
    assert!(refusal(|row| format!("t{}", row % 2), label("x,y")).contains("several targets are numbers together"));
}
