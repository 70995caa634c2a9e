//! McNemar's test, percentiles and bootstrap intervals against SciPy's and numpy's numbers (`golden/generate.py`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use serde_json::Value;
use tasks::paired::{McNemar, middle, resample};

fn cases(kind: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("golden/paired.json")).unwrap();
    let all = golden["cases"].as_array().unwrap().clone();
    all.into_iter().filter(|case| case["case"] == kind).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn mcnemars_p_values_are_scipys() {
    let cases = cases("mcnemar");
    assert!(cases.len() >= 10);
    for case in cases {
        let [fixed, broken] = ["fixed", "broken"].map(|key| case[key].as_u64().unwrap());
        let found = McNemar::of(fixed, broken);
        for (name, found) in [("exact", found.exact), ("mid", found.mid)] {
            let expected = case[name].as_f64().unwrap();
            assert!((found - expected).abs() <= 1e-9 * expected.max(1e-3), "{case}: {name} is {found}");
        }
        assert_eq!(McNemar::of(broken, fixed).exact, found.exact, "it has two sides");
    }
}

#[test]
fn percentiles_are_numpys_and_what_is_not_finite_is_left_out() {
    for case in cases("percentiles") {
        let values = numbers(&case["values"]);
        let (found, expected) = (middle(&values).unwrap(), numbers(&case["middle"]));
        assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-12), "{found:?}");
    }
    assert_eq!(middle(&[f64::NAN, f64::INFINITY]), None);
    assert_eq!(middle(&[f64::NAN, 2.0]), Some([2.0, 2.0]));
}

#[test]
fn bootstrap_intervals_are_scipys_up_to_the_noise_of_the_drawings() {
    for case in cases("bootstrap") {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let mean = |values: &[f64], drawn: &[u32], power: i32| {
            drawn.iter().map(|&at| values[at as usize].powi(power)).sum::<f64>() / drawn.len() as f64
        };
        let mut found = Vec::new();
        resample(a.len(), 2000, 0, &mut |drawn| {
            found.push(match case["of"].as_str().unwrap() {
                "mean" => mean(&a, drawn, 1),
                "difference of means" => mean(&b, drawn, 1) - mean(&a, drawn, 1),
                _ => mean(&a, drawn, 2).sqrt(),
            });
        });
        let (found, expected) = (middle(&found).unwrap(), numbers(&case["interval"]));
        // The 2.5th percentile of 2,000 normal draws has a standard error of 1.7 % of the interval's width.
        let bound = 0.06 * (expected[1] - expected[0]);
        assert!(
            found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < bound),
            "{case}: {found:?}"
        );
    }
}

#[test]
fn a_drawing_is_the_seeds_and_has_every_position_at_times() {
    let draw = |seed| {
        let mut all = Vec::new();
        resample(7, 50, seed, &mut |drawn| all.extend_from_slice(drawn));
        all
    };
    let drawn = draw(3);
    assert_eq!(drawn, draw(3));
    assert_ne!(drawn, draw(4));
    assert!(drawn.len() == 350 && (0..7).all(|position| drawn.contains(&position)) && drawn.iter().all(|&at| at < 7));
}
