//! Kinds of columns and what they become.

use super::*;

#[test]
fn kinds_are_told_apart_and_stated() {
    let dataset = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    assert_eq!(names(spec(&dataset)), ["x", "colour", "size"]);
    assert_eq!(dataset.input.shape(), [7, 1, 1]);
    assert_eq!(dataset.found.format, "CSV table with a header");
    assert!(
        notes(&dataset).contains("2 numeric columns: x, size\n1 categorical column: colour (3)"),
        "{}",
        notes(&dataset)
    );
    let Targets::Classes { names, values } = &dataset.targets else { panic!("classes") };
    assert_eq!(names, &["cat", "dog"]);
    assert_eq!(values[..4], [0, 1, 0, 1]);
    // x, then one of blue, green and red, then size.
    assert_eq!(row(&dataset, 1), [0.5, 0.0, 1.0, 0.0, 1.25]);
    assert_eq!(dataset.sources.name(0), "table.csv:2");
}

#[test]
fn the_recipe_is_fitted_on_the_training_rows_alone() {
    let made = Made::new(sixty(true, ","));
    let mut split = String::from("sample,split\n");
    (0..60).for_each(|row| split += &format!("table.csv:{},{}\n", row + 2, ["train", "val", "test"][row % 3]));
    let options =
        OpenOptions { split: Some(made.add("split.csv", &split)), drop: vec!["colour".into()], ..label("kind") };
    let dataset = made.load(options).unwrap();
    let values: Vec<f32> = (0..60).step_by(3).map(|row| row as f32 / 2.0).collect();
    let mean = values.iter().sum::<f32>() / 20.0;
    let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 20.0).sqrt();
    let (means, stds) = dataset.input.normalisation();
    assert!((means[0] - mean).abs() < 1e-5 && (stds[0] - std).abs() < 1e-5, "{means:?} {stds:?}");
    assert_eq!(dataset.split.test[0], 2);
}

#[test]
fn missing_numbers_become_the_training_median_and_are_marked() {
    let mut text = String::from("a,b,y\n");
    for row in 0..40 {
        let a = ["", "?", "NA", "nan", "null", "None"]
            .get(row)
            .map_or_else(|| format!("{}.5", row % 4), ToString::to_string);
        text += &format!("{a},{},{}\n", row % 7, ["u", "v"][row % 2]);
    }
    let made = Made::new(&text);
    let split: String =
        (0..40).map(|row| format!("table.csv:{},{}\n", row + 2, if row < 30 { "train" } else { "test" })).collect();
    let options = OpenOptions { split: Some(made.add("s.csv", &format!("sample,split\n{split}"))), ..label("y") };
    let dataset = made.load(options).unwrap();
    let ColumnKind::Numeric { fill, indicator, .. } = spec(&dataset).columns[0].kind else { panic!("numeric") };
    assert_eq!((fill, indicator), (2.0, true));
    assert_eq!(row(&dataset, 0), [2.0, 1.0, 0.0]);
    assert_eq!(row(&dataset, 6), [2.5, 0.0, 6.0]);
    assert!(notes(&dataset).contains("from 5 rows on: a (6)"), "{}", notes(&dataset));
}

#[test]
fn missing_and_unknown_categories_are_zeros() {
    let dataset = Made::new(sixty(true, ",")).load(label("kind")).unwrap();
    let encode =
        |colour| without_ranks(spec(&dataset), &spec(&dataset).encode(None, &["1", colour, "cat", "2"]).unwrap());
    assert_eq!(encode("red"), [1.0, 0.0, 0.0, 1.0, 2.0]);
    assert_eq!(encode("mauve"), [1.0, 0.0, 0.0, 0.0, 2.0]);
    assert_eq!(encode(" NA "), encode("mauve"));
}

#[test]
fn constant_empty_counting_and_free_columns_are_left_out_and_stated() {
    let mut text = String::from("PassengerId,const,empty,name,x,word,y\n");
    (0..50).for_each(|row| text += &format!("{},7,,name {row},{},same,{}\n", row + 1, row * row, ["u", "v"][row % 2]));
    let dataset = Made::new(&text).load(label("y")).unwrap();
    assert_eq!(names(spec(&dataset)), ["x"]);
    let notes = notes(&dataset);
    for part in
        ["`PassengerId` (it counts the rows)", "`const` (always 7)", "`empty` (empty)", "`name` (names or free text: "]
    {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}

#[test]
fn of_many_categories_the_most_frequent_stay() {
    let mut text = String::from("city,y\n");
    (0..1200).for_each(|row| text += &format!("c{:03},{}\n", if row < 400 { row % 4 } else { row % 200 }, row % 2));
    let dataset = Made::new(&text).load(label("y")).unwrap();
    let ColumnKind::Categorical { categories } = &spec(&dataset).columns[0].kind else { panic!("categorical") };
    assert_eq!(categories.len(), 100);
    assert_eq!(categories[..4], ["c000", "c001", "c002", "c003"]);
    assert!(notes(&dataset).contains("only the 100 most frequent categories of: city"));
}

#[test]
fn ranks_stand_between_the_training_quantiles() {
    let mut text = String::from("x,flag,y\n");
    (0..129)
        .for_each(|row| text += &format!("{},{},{}\n", if row < 64 { 0 } else { (row - 64) * 100 }, row % 2, row % 2));
    let made = Made::new(&text);
    let split: String = (0..129).map(|row| format!("table.csv:{},train\n", row + 2)).collect();
    let dataset =
        made.load(OpenOptions { split: Some(made.add("s.csv", &format!("sample,split\n{split}"))), ..label("y") });
    let dataset = dataset.unwrap();
    let rank = |x: &str| spec(&dataset).encode(None, &[x, "1", "0"]).unwrap()[1];
    // 65 zeros, then a number every 100: the quantiles are 17 zeros, then 400, 800 ... 6400.
    assert_eq!((rank("-5"), rank("6400"), rank("1e30")), (0.0, 1.0, 1.0));
    assert_eq!(rank("0"), 8.0 / 32.0, "the middle of the zeros");
    assert_eq!((rank("400"), rank("600"), rank("100")), (17.0 / 32.0, 17.5 / 32.0, 16.25 / 32.0));
    // Two different numbers have no rank beside them.
    assert_eq!(dataset.input.len(), 3);
    assert_eq!(dataset.input.normalisation().0[1], 0.5);
}

#[test]
fn codes_are_categories_where_the_user_says_so() {
    let options = OpenOptions { categorical: vec!["x".into()], drop: vec!["4".into()], ..label("kind") };
    let mut text = String::from("x,colour,kind,size\n");
    (0..40).for_each(|row| text += &format!("{},red{},{},1\n", row % 3, row % 2, ["u", "v"][row % 2]));
    let dataset = Made::new(&text).load(options).unwrap();
    assert_eq!(
        spec(&dataset).columns[0].kind,
        ColumnKind::Categorical { categories: ["0", "1", "2"].map(String::from).into() }
    );
    assert!(notes(&dataset).contains("dropped as asked: size"));
}

#[test]
fn text_and_infinity_among_numbers_are_refused_with_their_line() {
    let table = |odd: &str| {
        let x = |row| if row == 7 { odd.to_owned() } else { format!("{row}.5") };
        Made::new("x,y\n".to_owned() + &(0..50).map(|row| format!("{},{}\n", x(row), row % 2)).collect::<String>())
    };
    for odd in ["oops", "1,5\",\"", "inf", "-Infinity", "1e999", "1e39"] {
        let message = table(&odd.replace(['"', ','], "_")).refusal(label("y"));
        assert!(message.contains("line 9, column `x`: expected a "), "{message}");
    }
    assert!(table("NaN").load(label("y")).is_ok());
}
