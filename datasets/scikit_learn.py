"""What scikit-learn's MLPs reach on the split of a striate run: the yardstick of the recipes for tables.

    python datasets/scikit_learn.py TABLE [TEST_TABLE] --split runs/NAME/split.csv [--split ...] --label NAME_OR_POSITION
        [--drop COLS] [--no-header] [--regression] [--early-stopping]

Prints one line of JSON: the score on each split's test rows (accuracy, or R2), their mean and its standard error. It fits on the rows for
training and for validation; with --early-stopping, scikit-learn cuts a tenth of its own from them. Missing numbers become the median,
texts one column a value. Needs scikit-learn and pandas; no part of the build.
"""

import argparse
import json
import os
import warnings

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def read(path, header):
    """The table, its rows named as striate names them: file:line."""
    table = pd.read_csv(path, header=0 if header else None, skipinitialspace=True, na_values=["?"])
    table.columns = [str(column) if header else str(column + 1) for column in table.columns]
    table.index = [f"{os.path.basename(path)}:{line + (2 if header else 1)}" for line in range(len(table))]
    return table


def pipeline(table, model):
    """Scaled numbers and one-hot texts in front of a model."""
    numeric = [c for c in table if pd.api.types.is_numeric_dtype(table[c]) and table[c].dtype != bool]
    texts = [c for c in table if c not in numeric]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encode = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        ("texts", make_pipeline(SimpleImputer(strategy="constant", fill_value="missing"), one_hot), texts),
    ])
    return make_pipeline(encode, model)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tables", nargs="+")
    arguments.add_argument("--split", action="append", required=True)
    arguments.add_argument("--label", required=True)
    arguments.add_argument("--drop", default="")
    arguments.add_argument("--no-header", action="store_true")
    arguments.add_argument("--regression", action="store_true")
    arguments.add_argument("--early-stopping", action="store_true")
    given = arguments.parse_args()
    warnings.filterwarnings("ignore")

    table = pd.concat([read(path, not given.no_header) for path in given.tables])
    target = table.pop(given.label)
    if not given.regression:
        target = target.astype(str).str.rstrip(".")  # adult's test file ends its labels with a dot
    table = table.drop(columns=[column for column in given.drop.split(",") if column])
    for column in table:
        if not pd.api.types.is_numeric_dtype(table[column]) or table[column].dtype == bool:
            table[column] = table[column].astype(object).where(table[column].notna(), None)
            table[column] = table[column].map(lambda value: value if value is None else str(value))

    scores = []
    for seed, path in enumerate(given.split):
        part = pd.read_csv(path, index_col=0)["split"].loc[table.index].to_numpy()
        fit, test = part != "test", part == "test"
        settings = {"max_iter": 300, "early_stopping": given.early_stopping, "random_state": seed}
        if given.regression:  # which doesn't scale its target, and doesn't converge on one that isn't
            model = MLPRegressor(hidden_layer_sizes=(128, 64), **settings)
            model = TransformedTargetRegressor(model, transformer=StandardScaler())
        else:
            model = MLPClassifier((64, 32), **settings)
        scores.append(pipeline(table, model).fit(table[fit], target[fit]).score(table[test], target[test]))
    error = np.std(scores, ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else None
    print(json.dumps({
        "mean": round(float(np.mean(scores)), 5),
        "standard_error": error and round(float(error), 5),
        "scores": [round(float(score), 5) for score in scores],
    }))


if __name__ == "__main__":
    main()
