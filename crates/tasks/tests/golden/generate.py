"""Writes losses.json, metrics.json, paired.json, calibration.json and doubts.json beside this script: losses and gradients from PyTorch, metrics
from scikit-learn, tests, intervals and temperatures from SciPy, in float64; doubts from the definition in numpy, which on these samples is what
cleanlab 2.9 finds (`filter_by="confident_learning"`): where there is a cleanlab, that is asserted.

Run with a Python that has torch, numpy and scikit-learn (which brings SciPy). Inputs are float32 numbers, so that the Rust tests start from the same.
"""

import json
import math
import pathlib

import numpy as np
import sklearn
import torch
from sklearn import metrics as sk

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(20)
f32 = lambda x: np.asarray(x, dtype=np.float32)


def clean(x):
    """NaN as null, arrays as lists."""
    if isinstance(x, dict):
        return {key: clean(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [clean(value) for value in x]
    if isinstance(x, np.ndarray):
        return clean(x.tolist())
    if isinstance(x, (float, np.floating)):
        return None if math.isnan(x) else float(x)
    if isinstance(x, np.integer):
        return int(x)
    return x


def write(name, content):
    lines = ",\n".join(json.dumps(clean(case)) for case in content)
    head = json.dumps({"torch": torch.__version__, "sklearn": sklearn.__version__})
    (HERE / name).write_text(f'{{"made_with": {head}, "cases": [\n{lines}\n]}}\n')


def gradient(loss, outputs):
    x = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    value = loss(x)
    value.backward()
    return {"outputs": outputs, "loss": value.item(), "gradient": x.grad.numpy()}


def loss_cases():
    cases = []
    tensor = lambda x: torch.tensor(np.asarray(x), dtype=torch.float64)
    logits = f32(rng.normal(0, 2, (9, 5)))
    logits[0] = 0.0
    logits[1] = [80.0, -80.0, 0.0, 1.0, 2.0]
    logits[2] = [1000.0, 1000.0, 999.0, -1000.0, 0.0]
    classes = np.array([3, 0, 1, 4, 2, 2, 2, 0, 1])
    soft = f32(rng.dirichlet(np.ones(5), 9))
    weights = f32([0.5, 2.0, 1.0, 0.25, 3.0])
    for smoothing in [0.0, 0.1, 0.5]:
        for weighted in [False, True]:
            weight = tensor(weights) if weighted else None
            options = {"smoothing": smoothing, "weights": weights if weighted else None}
            criterion = torch.nn.CrossEntropyLoss(weight, label_smoothing=smoothing)
            for name, target, given in [
                ("cross-entropy", torch.tensor(classes), {"classes": classes}),
                ("cross-entropy", tensor(soft), {"dense": soft}),
            ]:
                cases.append({"loss_name": name, **options, **given, **gradient(lambda x: criterion(x, target), logits)})
    labels = f32(rng.integers(0, 2, (9, 5)))
    for smoothing in [0.0, 0.2]:
        for weighted in [False, True]:
            criterion = torch.nn.BCEWithLogitsLoss(pos_weight=tensor(weights) if weighted else None)
            target = tensor(labels) * (1 - smoothing) + smoothing / 2
            cases.append({"loss_name": "bce", "smoothing": smoothing, "weights": weights if weighted else None, "dense": labels,
                          **gradient(lambda x: criterion(x, target), logits)})
    mean, std = f32([100.0, -3.0, 0.5]), f32([20.0, 0.1, 1.0])
    outputs = f32(rng.normal(0, 1.5, (8, 3)))
    values = f32(rng.normal(0, 1.5, (8, 3)) * std + mean)
    values[0] = mean
    outputs[0] = 0.0  # no error at all: the kink of MAE
    standard = (tensor(values) - tensor(mean)) / tensor(std)
    for name, criterion in [
        ("mse", torch.nn.MSELoss()),
        ("mae", torch.nn.L1Loss()),
        ("huber:1", torch.nn.HuberLoss(delta=1.0)),
        ("huber:0.3", torch.nn.HuberLoss(delta=float(np.float32(0.3)))),
    ]:
        cases.append({"loss_name": name, "mean": mean, "std": std, "dense": values,
                      **gradient(lambda x: criterion(x, standard), outputs)})
    return cases


def softmax(x):
    x = x.astype(np.float64)
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def per_class(truth, predicted, scores, average_precision):
    """Of 0/1 matrices [n, k]."""
    rows = []
    for c in range(truth.shape[1]):
        t, p = truth[:, c], predicted[:, c]
        both = 0 < t.sum() < len(t)
        rows.append({
            "precision": sk.precision_score(t, p, zero_division=np.nan),
            "recall": sk.recall_score(t, p, zero_division=np.nan),
            "f1": sk.f1_score(t, p, zero_division=np.nan),
            "support": int(t.sum()),
            "auroc": sk.roc_auc_score(t, scores[:, c]) if both else math.nan,
            "average_precision": sk.average_precision_score(t, scores[:, c]) if average_precision and t.any() else math.nan,
        })
    return rows


def mean(rows, key):
    return np.nanmean([row[key] for row in rows])


def classification(k, outputs, truth):
    n, p = len(truth), softmax(outputs)
    predicted = p.argmax(1)
    rows = per_class(np.eye(k)[truth], np.eye(k)[predicted], p, False)
    values = {
        # Not sk.log_loss, which clips probabilities.
        "loss": torch.nn.functional.cross_entropy(torch.tensor(outputs.astype(np.float64)), torch.tensor(truth)).item(),
        "accuracy": sk.accuracy_score(truth, predicted),
        "macro_precision": sk.precision_score(truth, predicted, labels=range(k), average="macro", zero_division=np.nan),
        "macro_recall": sk.recall_score(truth, predicted, labels=range(k), average="macro", zero_division=np.nan),
        "macro_f1": sk.f1_score(truth, predicted, average="macro"),
        "auroc": mean(rows, "auroc"),
    }
    if k == 2:
        assert abs(values["auroc"] - sk.roc_auc_score(truth, p[:, 1])) < 1e-12
    elif len(set(truth)) == k:
        assert abs(values["auroc"] - sk.roc_auc_score(truth, p, multi_class="ovr")) < 1e-12
    if k > 5:
        values["top5"] = sk.top_k_accuracy_score(truth, p, k=5, labels=range(k))
    low, high = wilson((truth == predicted).sum(), n)
    return {"task": "classification", "k": k, "outputs": outputs, "classes": truth, "values": values, "per_class": rows,
            "confusion": sk.confusion_matrix(truth, predicted, labels=range(k)), "accuracy_interval": [low, high]}


def wilson(right, n):
    """The roots of (p - right/n)^2 = z^2 p (1 - p) / n, found as a quadratic's."""
    z, x = 1.959963984540054, right / n
    low, high = sorted(np.roots([1 + z * z / n, -(2 * x + z * z / n), x * x]).real)
    return max(low, 0.0), min(high, 1.0)


def multi_label(outputs, truth):
    p = 1 / (1 + np.exp(-outputs.astype(np.float64)))
    predicted = (p >= 0.5).astype(int)
    rows = per_class(truth, predicted, p, True)
    values = {
        "loss": np.mean([sk.log_loss(truth[:, c], p[:, c], labels=[0, 1]) for c in range(truth.shape[1])]),
        "exact_match": sk.accuracy_score(truth, predicted),
        "map": mean(rows, "average_precision"),
        "micro_f1": sk.f1_score(truth, predicted, average="micro"),
        "macro_precision": mean(rows, "precision"),
        "macro_recall": mean(rows, "recall"),
        "macro_f1": mean(rows, "f1"),
        "auroc": mean(rows, "auroc"),
    }
    if truth.any(0).all():
        assert abs(values["map"] - sk.average_precision_score(truth, p, average="macro")) < 1e-12
    return {"task": "multi-label", "k": truth.shape[1], "outputs": outputs, "dense": truth, "values": values, "per_class": rows}


def regression(loss_name, criterion, mean_, std, outputs, values):
    mean_, std, outputs, values = map(f32, [mean_, std, outputs, values])
    wide = lambda x: x.astype(np.float64)
    predicted = wide(outputs) * wide(std) + wide(mean_)
    standard = (wide(values) - wide(mean_)) / wide(std)
    rows = [{
        "mae": sk.mean_absolute_error(wide(values[:, c]), predicted[:, c]),
        "rmse": sk.root_mean_squared_error(wide(values[:, c]), predicted[:, c]),
        "r2": sk.r2_score(wide(values[:, c]), predicted[:, c]) if len(set(values[:, c])) > 1 else math.nan,
    } for c in range(values.shape[1])]
    loss = criterion(torch.tensor(wide(outputs)), torch.tensor(standard)).item()
    scalars = {"loss": loss, "mae": mean(rows, "mae"), "rmse": mean(rows, "rmse"), "r2": mean(rows, "r2")}
    return {"task": "regression", "loss_name": loss_name, "mean": mean_, "std": std, "outputs": outputs, "dense": values,
            "values": scalars, "per_target": rows}


def metric_cases():
    pool = lambda n, k, rows: f32(rng.normal(0, 2, (rows, k)))[rng.integers(0, rows, n)]  # whole rows repeat: ties
    cases = [
        classification(2, f32(rng.normal(0, 2, (50, 2))), rng.integers(0, 2, 50)),
        classification(2, pool(60, 2, 9), rng.integers(0, 2, 60)),
        classification(3, pool(70, 3, 11), rng.integers(0, 3, 70)),
        classification(8, f32(rng.normal(0, 1, (90, 8))), rng.integers(0, 8, 90)),
        # Class 3 is never true and class 0 never predicted, class 6 is neither.
        classification(7, f32(rng.normal(0, 1, (40, 7)) - [50, 0, 0, 0, 0, 0, 60]), rng.choice([0, 1, 2, 4, 5], 40)),
        multi_label(f32(rng.normal(0, 2, (60, 4))), rng.integers(0, 2, (60, 4))),
        multi_label(f32(rng.integers(-3, 4, (80, 6)) / 2), rng.integers(0, 2, (80, 6))),
        # Label 1 is never true, label 2 always, label 0 never predicted.
        multi_label(f32(rng.integers(-3, 4, (30, 4)) / 2 - [9, 0, 0, 0]),
                    rng.integers(0, 2, (30, 4)) * [1, 0, 1, 1] | [0, 0, 1, 0]),
    ]
    huber = torch.nn.HuberLoss(delta=1.0)
    one = rng.normal(0, 1, (50, 1))
    cases += [
        regression("mse", torch.nn.MSELoss(), [207000.0], [115000.0], one, (one + rng.normal(0, 0.4, (50, 1))) * 115000 + 207000),
        # A mean a million deviations away: naive sums of squares lose all their digits here.
        regression("mae", torch.nn.L1Loss(), [1e6], [1.0], one, one * 0.9 + 1e6),
        regression("huber:1", huber, [1.0, -2.0, 30.0], [2.0, 0.5, 9.0], rng.normal(0, 1, (40, 3)),
                   rng.normal(0, 1, (40, 3)) * [2.0, 0.5, 0.0] + [1.0, -2.0, 31.7]),  # the last is constant: no R2
    ]
    return cases

def paired():
    """McNemar's p-values from scipy's binomial, percentiles from numpy, bootstrap intervals from scipy with many resamples."""
    from scipy import stats

    rng = np.random.default_rng(21)
    counts = [(0, 0), (1, 0), (0, 5), (5, 5), (6, 16), (10, 3), (59, 121), (40, 44), (3, 900), (5000, 5200), (100000, 100900)]
    cases = []
    for fixed, broken in counts:
        n, k = fixed + broken, min(fixed, broken)
        exact = stats.binomtest(k, n, 0.5).pvalue if n else 1.0
        mid = min(1.0, 2 * stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5))
        cases.append({"case": "mcnemar", "fixed": fixed, "broken": broken, "exact": exact, "mid": mid})
    for count in [1, 2, 40, 2000]:
        values = rng.normal(size=count)
        cases.append({"case": "percentiles", "values": values, "middle": np.percentile(values, [2.5, 97.5])})
    a, b = rng.gamma(2.0, size=400), rng.gamma(2.0, size=400)
    b = 0.7 * a + 0.35 * b
    for name, data, statistic in [
        ("mean", (a,), lambda a, axis: a.mean(axis)),
        ("root of the mean square", (a,), lambda a, axis: np.sqrt((a**2).mean(axis))),
        ("difference of means", (a, b), lambda a, b, axis: b.mean(axis) - a.mean(axis)),
    ]:
        found = stats.bootstrap(
            data, statistic, paired=True, method="percentile", n_resamples=50000, batch=1000, rng=np.random.default_rng(22)
        )
        cases.append({"case": "bootstrap", "of": name, "a": a, "b": b, "interval": found.confidence_interval})
    write("paired.json", cases)


def calibration():
    """Temperatures that minimise the negative log-likelihood, by scipy's bounded search, and the scores of the samples at them, by numpy."""
    from scipy import optimize, special

    rng = np.random.default_rng(23)
    cases = []
    for n, k, scale, noise in [(25, 2, 1, 1.0), (60, 3, 4, 1.5), (120, 10, 3, 2.0), (250, 5, 0.3, 0.2), (250, 4, 25, 20.0)]:
        truth = rng.integers(0, k, n)
        logits = f32(scale * np.eye(k)[truth] + noise * rng.normal(size=(n, k)))
        wide = logits.astype(np.float64)
        surprise = lambda t: -special.log_softmax(wide / t, axis=1)[np.arange(n), truth]
        found = optimize.minimize_scalar(lambda log_t: surprise(np.exp(log_t)).mean(), bounds=np.log([0.05, 20]), method="bounded",
                                         options={"xatol": 1e-11})
        t = float(np.exp(found.x))
        limits = {str(c): float(np.sort(surprise(t))[math.ceil((n + 1) * c - 1e-9) - 1]) for c in [0.5, 0.8, 0.9, 0.95]}
        cases.append({"task": "classification", "k": k, "outputs": logits, "classes": truth, "temperature": t, "limits": limits,
                      "loss": [surprise(1.0).mean(), surprise(t).mean()]})
    for n, k, scale in [(40, 3, 0.4), (120, 4, 3.0)]:
        logits = f32(scale * rng.normal(size=(n, k)))
        wide = logits.astype(np.float64)
        labels = f32(rng.random((n, k)) < special.expit(wide * rng.uniform(0.3, 2)))
        loss = lambda t: (np.logaddexp(0, wide / t) - labels * wide / t).mean()
        found = optimize.minimize_scalar(lambda log_t: loss(np.exp(log_t)), bounds=np.log([0.05, 20]), method="bounded", options={"xatol": 1e-11})
        t = float(np.exp(found.x))
        cases.append({"task": "multi-label", "k": k, "outputs": logits, "dense": labels, "temperature": t, "loss": [loss(1.0), loss(t)]})
    write("calibration.json", cases)


def doubts():
    """Samples and labels whose given class is less probable than one that the network is confident of."""
    from scipy import special

    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        find_label_issues = None
    rng = np.random.default_rng(29)

    def issues(given, p):
        known = np.bincount(given, minlength=p.shape[1]) > 0
        threshold = np.array([p[given == j, j].mean() if known[j] else np.inf for j in range(p.shape[1])])
        sure = (p >= threshold) & (p > p[np.arange(len(p)), given][:, None])
        found = sure.any(1)
        likely = np.where(sure, p, -1).argmax(1)
        if find_label_issues and known.all():
            peer = find_label_issues(given, p, filter_by="confident_learning", n_jobs=1)
            assert (peer == found).all(), np.nonzero(peer != found)
        return [[int(i), int(likely[i]), p[i, likely[i]] - p[i, given[i]]] for i in np.nonzero(found)[0]]

    cases = []
    for n, k, scale, noise, temperature in [(80, 2, 3, 0.1, 1.0), (200, 5, 4, 0.1, 0.7), (300, 20, 3, 0.3, 1.6), (60, 3, 0.5, 0.5, 1.0)]:
        truth = rng.integers(0, k, n)
        truth[:k] = np.arange(k)
        logits = f32(scale * np.eye(k)[truth] + rng.normal(size=(n, k)))
        given = np.where(rng.random(n) < noise, rng.integers(0, k, n), truth)
        p = special.softmax(logits.astype(np.float64) / temperature, axis=1)
        cases.append({"task": "classification", "k": k, "temperature": temperature, "outputs": logits, "classes": given,
                      "doubts": issues(given, p)})
    n, k = 120, 4
    truth = rng.random((n, k)) < [0.5, 0.3, 0.1, 0.02]
    logits = f32(np.where(truth, 2, -2) + rng.normal(size=(n, k)))
    given = truth ^ (rng.random((n, k)) < 0.08)
    found = []
    for label in range(k):
        p = special.expit(logits[:, label].astype(np.float64))
        both = np.stack([1 - p, p], axis=1)
        found += [[i, label, strength] for i, _, strength in issues(given[:, label].astype(int), both)]
    cases.append({"task": "multi-label", "k": k, "temperature": 1.0, "outputs": logits, "dense": f32(given), "doubts": found})
    write("doubts.json", cases)


write("losses.json", loss_cases())
write("metrics.json", metric_cases())
paired()
calibration()
doubts()
