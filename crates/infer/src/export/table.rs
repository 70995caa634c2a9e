//! A table's encoding inside the graph: missing numbers filled, their ranks, what tells them from present ones, and categories as columns of
//! 0 and 1, as `crates/data/src/table/encode.rs` makes features of a row. All numbers come in one tensor and all categories in another, so
//! that the number of nodes doesn't grow with the numbers.

use data::{Column, ColumnKind, TableSpec};

use super::graph::Graph;
use super::onnx::{Attribute, Dim, Type, ValueInfoProto, value_info};

/// The input of all numeric columns.
pub(super) const NUMBERS: &str = "numbers";
/// The input of all categorical columns.
pub(super) const CATEGORIES: &str = "categories";

/// The numeric columns, then the categorical ones: the order of the columns of each input.
pub(super) fn columns(spec: &TableSpec) -> (Vec<&Column>, Vec<&Column>) {
    spec.columns.iter().partition(|column| matches!(column.kind, ColumnKind::Numeric { .. }))
}

/// The inputs that a table needs.
pub(super) fn inputs(spec: &TableSpec) -> Vec<ValueInfoProto> {
    let (numbers, categories) = columns(spec);
    let mut inputs = Vec::new();
    let shape = |columns: &[&Column]| [Dim::Any("batch"), Dim::Of(columns.len())];
    if !numbers.is_empty() {
        let doc = "the numeric columns as they stand in the table, NaN where a number is missing";
        inputs.push(value_info(NUMBERS, Type::Float, &shape(&numbers), doc));
    }
    if !categories.is_empty() {
        let doc = "the categorical columns as text without spaces around it; anything else than a known category counts as missing";
        inputs.push(value_info(CATEGORIES, Type::String, &shape(&categories), doc));
    }
    inputs
}

/// The features of rows, `[batch, features]`, before `mean` and `std`.
pub(super) fn write(graph: &mut Graph, spec: &TableSpec) -> String {
    let (numbers, categories) = columns(spec);
    // What is put together, and where the features of each column begin in it.
    let (mut parts, mut width) = (Vec::new(), 0);
    let mut at = vec![Vec::new(); spec.columns.len()];
    let index = |column: &Column| spec.columns.iter().position(|other| std::ptr::eq(other, column)).unwrap_or(0);
    let mut place = |columns: &[&Column], width: &mut usize| {
        for column in columns {
            at[index(column)].push(*width);
            *width += 1;
        }
    };
    if !numbers.is_empty() {
        let missing = graph.node("missing", "IsNaN", &[NUMBERS], &[]);
        let fills: Vec<f32> = numbers.iter().map(|column| numeric(column).0).collect();
        let fills = graph.floats("fills", &[1, fills.len()], &fills);
        let filled = graph.node("filled", "Where", &[&missing, &fills, NUMBERS], &[]);
        place(&numbers, &mut width);
        parts.push(filled.clone());
        let ranked: Vec<usize> = (0..numbers.len()).filter(|&at| !numeric(numbers[at]).1.is_empty()).collect();
        if !ranked.is_empty() {
            let tables: Vec<&[f32]> = ranked.iter().map(|&at| numeric(numbers[at]).1).collect();
            let chosen = choose(graph, &filled, &ranked);
            parts.push(ranks(graph, &chosen, &tables));
            place(&ranked.iter().map(|&at| numbers[at]).collect::<Vec<_>>(), &mut width);
        }
        let told: Vec<usize> = (0..numbers.len()).filter(|&at| numeric(numbers[at]).2).collect();
        if !told.is_empty() {
            let flags = graph.cast(&missing, Type::Float);
            parts.push(choose(graph, &flags, &told));
            place(&told.iter().map(|&at| numbers[at]).collect::<Vec<_>>(), &mut width);
        }
    }
    for (position, column) in categories.iter().enumerate() {
        let ColumnKind::Categorical { categories } = &column.kind else { continue };
        if categories.is_empty() {
            continue;
        }
        let field = choose(graph, CATEGORIES, &[position]);
        let with = [("cats_strings", Attribute::Strings(categories)), ("zeros", Attribute::Int(1))];
        let hot = graph.node_of("ai.onnx.ml", "one_hot", "OneHotEncoder", &[&field], &with); // [batch, 1, categories]
        let axis = graph.ints("axis", &[1], &[1]);
        parts.push(graph.node("category", "Squeeze", &[&hot, &axis], &[]));
        for _ in categories {
            place(&[column], &mut width);
        }
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let together = match parts[..] {
        [one] => one.to_owned(),
        _ => graph.node("together", "Concat", &parts, &[("axis", Attribute::Int(1))]),
    };
    let order = at.concat();
    if order.is_sorted() { together } else { choose(graph, &together, &order) }
}

/// Fill, quantiles and whether missing numbers have a feature.
fn numeric(column: &Column) -> (f32, &[f32], bool) {
    match &column.kind {
        ColumnKind::Numeric { fill, ranks, indicator, .. } => (*fill, ranks, *indicator),
        ColumnKind::Categorical { .. } => (0.0, &[], false),
    }
}

/// Some columns of a table, in this order.
fn choose(graph: &mut Graph, table: &str, columns: &[usize]) -> String {
    let columns: Vec<i64> = columns.iter().map(|&column| column as i64).collect();
    let indices = graph.ints("indices", &[columns.len()], &columns);
    graph.node("chosen", "Gather", &[table, &indices], &[("axis", Attribute::Int(1))])
}

/// Where each of `numbers`, `[batch, columns]`, stands among the quantiles of its column, 0 to 1: linear between two of them, in the middle of
/// several equal ones.
fn ranks(graph: &mut Graph, numbers: &str, tables: &[&[f32]]) -> String {
    let (columns, longest) = (tables.len(), tables.iter().map(|table| table.len()).max().unwrap_or(0));
    // Quantiles that aren't there are above every number.
    let padded: Vec<f64> = tables
        .iter()
        .flat_map(|table| (0..longest).map(|at| table.get(at).map_or(f64::INFINITY, |&quantile| f64::from(quantile))))
        .collect();
    let quantiles = graph.doubles("quantiles", &[1, columns, longest], &padded);
    let flat = graph.doubles("quantiles", &[columns * longest], &padded);
    let doubles = |graph: &mut Graph, values: Vec<f64>| graph.doubles("of_columns", &[1, columns], &values);
    let starts = doubles(graph, (0..columns).map(|column| (column * longest) as f64).collect());
    let lasts = doubles(graph, tables.iter().map(|table| table.len() as f64 - 1.0).collect());
    let [zero, one, two] = [0.0, 1.0, 2.0].map(|value| graph.doubles("number", &[], &[value]));
    let two_of = |graph: &mut Graph, op: &str, x: &str, y: &str| graph.node(&op.to_lowercase(), op, &[x, y], &[]);

    let x = graph.cast(numbers, Type::Double);
    let axis = graph.ints("axis", &[1], &[2]);
    let each = graph.node("each", "Unsqueeze", &[&x, &axis], &[]); // [batch, columns, 1]
    let counts = |graph: &mut Graph, op: &str| {
        let is = graph.node("is_below", op, &[&quantiles, &each], &[]);
        let is = graph.cast(&is, Type::Double);
        graph.node("count", "ReduceSum", &[&is, &axis], &[("keepdims", Attribute::Int(0))])
    };
    let below = counts(graph, "Less");
    let upto = counts(graph, "LessOrEqual");

    // Several equal quantiles: the middle of them.
    let both = two_of(graph, "Add", &below, &upto);
    let both = two_of(graph, "Sub", &both, &one);
    let middle = two_of(graph, "Div", &both, &two);
    let hits = two_of(graph, "Less", &below, &upto);
    // Between two of them; before the first and behind the last the ends.
    let before = two_of(graph, "Sub", &below, &one);
    let low_at = two_of(graph, "Max", &before, &zero);
    let high_at = two_of(graph, "Min", &below, &lasts);
    let at = |graph: &mut Graph, position: &str| {
        let place = two_of(graph, "Add", position, &starts);
        let place = graph.cast(&place, Type::Int64);
        graph.node("quantile", "Gather", &[&flat, &place], &[])
    };
    let (low, high) = (at(graph, &low_at), at(graph, &high_at));
    let above = two_of(graph, "Sub", &x, &low);
    let width = two_of(graph, "Sub", &high, &low);
    let share = two_of(graph, "Div", &above, &width);
    let between = two_of(graph, "Add", &low_at, &share);
    let first = two_of(graph, "Equal", &below, &zero);
    let last = two_of(graph, "Greater", &below, &lasts);
    let between = graph.node("between", "Where", &[&last, &lasts, &between], &[]);
    let between = graph.node("between", "Where", &[&first, &zero, &between], &[]);
    let position = graph.node("position", "Where", &[&hits, &middle, &between], &[]);
    let least = two_of(graph, "Max", &lasts, &one);
    let rank = two_of(graph, "Div", &position, &least);
    graph.cast(&rank, Type::Float)
}
