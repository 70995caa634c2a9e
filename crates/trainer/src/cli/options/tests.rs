//! Recipes, variables and flags: layers, slips of the keyboard, and the way back to a recipe.

use super::*;

#[test]
fn an_unknown_key_names_the_nearest() {
    let error = Options::parse("epoch = 3", "r.toml").unwrap_err();
    assert_eq!(error.to_string(), "recipe `r.toml`: unknown key `epoch`; did you mean `epochs`?");
}

#[test]
fn an_unknown_variable_names_the_nearest() {
    let check = |name: &str| Options::check_environment([name.to_owned()]);
    assert_eq!(
        check("STRIATE_EPOCS").unwrap_err().to_string(),
        "environment variable `STRIATE_EPOCS` is no option; did you mean `STRIATE_EPOCHS`?"
    );
    for name in ["STRIATE_LABEL_STRIP", "STRIATE_RECIPE", "STRIATE_DATA", "HOME"] {
        check(name).unwrap();
    }
}

#[test]
fn a_broken_recipe_is_one_line_with_its_place() {
    let error = Options::parse("lr = 0.1\nepochs = = 3", "r.toml").unwrap_err().to_string();
    assert!(error.starts_with("recipe `r.toml` line 2: not TOML: "), "{error}");
    let error = Options::parse("epochs = \"x\"", "r.toml").unwrap_err().to_string();
    assert_eq!(
        error,
        "recipe `r.toml` line 1, `epochs = \"x\"`: expected a whole number of 0 or more, found string \"x\""
    );
}

#[test]
fn flags_win_over_the_recipe_whatever_it_says_else() {
    let recipe = Options::parse("epochs = 3\nlr = 0.1", "r").unwrap();
    let flags = Options { epochs: Some(5), ..Options::default() };
    let both = flags.over(recipe).unwrap();
    assert_eq!((both.epochs, both.lr), (Some(5), Some(0.1)));
}

#[test]
fn options_survive_their_own_recipe() {
    let options = Options {
        data: Some("x".into()),
        label: Some(vec!["a".into(), "b".into()]),
        nesterov: Some(true),
        lr: Some(0.1),
        model: Some(Choice::Name("mlp".into())),
        ..Options::default()
    };
    assert_eq!(Options::parse(&options.to_toml().unwrap(), "r").unwrap(), options);
}
