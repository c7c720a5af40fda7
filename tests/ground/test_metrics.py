"""Metrics against scikit-learn and plain float64 loops."""

import decimal
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

from pare_bench import metrics

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_importing_metrics_imports_neither_torch_nor_sklearn():
    code = "import sys, pare_bench.metrics; raise SystemExit(any(name in sys.modules for name in ('torch', 'sklearn', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_error_rate():
    logits = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0], [5.0, 4.0]])
    assert metrics.error_rate(logits, np.array([0, 1, 0, 1])) == 0.25  # the tie goes to class 0
    assert metrics.error_rate(logits, np.array([1, 0, 1, 1])) == 1.0


@pytest.mark.parametrize("num_classes", [2, 4, 30])
def test_macro_f1_error(rng, num_classes):
    logits, labels = rng.normal(size=(60, num_classes)), rng.integers(0, num_classes, 60)
    logits[np.arange(60), labels] += 1
    # scikit-learn's default label set is what occurs in the targets or the predictions.
    assert metrics.macro_f1_error(logits, labels) == pytest.approx(1 - f1_score(labels, logits.argmax(1), average="macro"), **CLOSE)


def test_macro_f1_error_counts_classes_that_are_only_predicted():
    logits = np.eye(4)[[0, 0, 1, 2]]
    # Class 0: F1 = 1; class 1: targets 2 of which 1 found, F1 = 2/3; class 2 only predicted, F1 = 0; class 3 does not occur.
    assert metrics.macro_f1_error(logits, np.array([0, 0, 1, 1])) == pytest.approx(1 - (1 + 2 / 3 + 0) / 3)


@pytest.mark.parametrize("ties", [False, True])
def test_map_and_auroc_error(rng, ties):
    logits = rng.integers(-3, 4, (150, 9)).astype(np.float32) if ties else rng.normal(size=(150, 9)).astype(np.float32)
    targets = (rng.random((150, 9)) < rng.uniform(0.02, 0.9, 9)).astype(np.float32)
    targets[:, 3], targets[:, 4] = 0, 1
    defined = [column for column in range(9) if targets[:, column].any()]
    expected = np.mean([average_precision_score(targets[:, column], logits[:, column]) for column in defined])
    assert metrics.map_error(logits, targets) == pytest.approx(1 - expected, **CLOSE)
    defined = [column for column in defined if not targets[:, column].all()]
    expected = np.mean([roc_auc_score(targets[:, column], logits[:, column]) for column in defined])
    assert metrics.auroc_error(logits, targets) == pytest.approx(1 - expected, **CLOSE)


def test_auroc_error_is_the_share_of_misordered_pairs(rng):
    scores, truth = rng.integers(0, 5, 40), rng.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    assert metrics.auroc_error(scores[:, None], truth[:, None]) == pytest.approx(1 - np.mean(pairs), **CLOSE)


def test_constant_scores():
    targets = np.array([[1], [0], [0], [0]])
    assert metrics.auroc_error(np.zeros((4, 1)), targets) == 0.5
    assert metrics.map_error(np.zeros((4, 1)), targets) == 0.75


def test_undefined_ranking_metrics():
    with pytest.raises(ValueError, match="no label has a positive"):
        metrics.map_error(np.zeros((3, 2)), np.zeros((3, 2)))
    for value in (0, 1):
        with pytest.raises(ValueError, match="both a positive and a negative"):
            metrics.auroc_error(np.zeros((3, 2)), np.full((3, 2), value))
    assert metrics.map_error(np.zeros((3, 2)), np.ones((3, 2))) == 0


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("ties", [False, True])
def test_auroc_ovo_error(rng, num_classes, ties):
    logits = rng.integers(0, 3, (90, num_classes)).astype(float) if ties else 3 * rng.normal(size=(90, num_classes))
    labels = rng.integers(0, num_classes, 90)
    # Rounded, so that probabilities that are equal on paper tie: in double precision sums in another order may differ in the last bit.
    probabilities = softmax(logits).round(12) if ties else softmax(logits)
    scores = probabilities[:, 1] if num_classes == 2 else probabilities
    expected = roc_auc_score(labels, scores, multi_class="ovo", average="macro")
    assert metrics.auroc_ovo_error(logits, labels) == pytest.approx(1 - expected, **CLOSE)


def exact_log_odds(logits, column):
    """log(p / (1 - p)) of one class with 60 digits."""
    with decimal.localcontext(prec=60, Emin=-(10**9)):
        row = [decimal.Decimal(float(value)) for value in logits]
        return row[column] - sum((value.exp() for place, value in enumerate(row) if place != column), decimal.Decimal(0)).ln()


def pairs_won(scores, positive):
    return np.mean([(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]])


@pytest.mark.parametrize("num_classes", [2, 3, 5])
@pytest.mark.parametrize("scale", [60, 1000])
def test_large_logits_are_ranked_although_their_probabilities_are_0_or_1(rng, num_classes, scale):
    labels = np.arange(60) % num_classes
    logits = (scale * (rng.normal(size=(60, num_classes)) + np.eye(num_classes)[labels])).astype(np.float32)
    odds = np.array([[exact_log_odds(row, column) for column in range(num_classes)] for row in logits])
    assert np.argsort(metrics.class_log_odds(logits), axis=0).tolist() == np.argsort(odds, axis=0).tolist()
    if num_classes == 2:
        expected = pairs_won(odds[:, 1], labels == 1)
    else:
        expected = np.mean(
            [
                pairs_won(odds[np.isin(labels, (a, b)), a], labels[np.isin(labels, (a, b))] == a)
                for a in range(num_classes)
                for b in range(num_classes)
                if a != b
            ]
        )
    assert metrics.auroc_ovo_error(logits, labels) == pytest.approx(1 - expected, **CLOSE)
    # In probabilities many of them tie: the score would be another one.
    scores = softmax(logits.astype(np.float64))
    tied = roc_auc_score(labels, scores[:, 1] if num_classes == 2 else scores, multi_class="ovo")
    assert abs(tied - expected) > 1e-4


def test_log_odds_keep_both_ends():
    np.testing.assert_array_equal(metrics.class_log_odds([[0, 100], [0, 200], [0, -800]])[:, 1], [100, 200, -800])
    odds = metrics.class_log_odds([[1e308, -1e308, 0.0], [0.0, 1.0, 2.0], [3.0, 2.0, 1.0]])
    assert np.isfinite(odds).all()
    assert odds[1, 1] == odds[2, 1] == pytest.approx(1 - np.log(1 + np.exp(2)))
    with pytest.raises(ValueError, match="at least two classes"):
        metrics.class_log_odds(np.zeros((3, 1)))


def test_auroc_ovo_error_with_an_absent_class(rng):
    logits, labels = rng.normal(size=(50, 4)), rng.choice([0, 1, 3], 50)
    expected = roc_auc_score(labels, softmax(logits), multi_class="ovo", labels=[0, 1, 2, 3])
    assert metrics.auroc_ovo_error(logits, labels) == pytest.approx(1 - expected, **CLOSE)
    with pytest.raises(ValueError, match="fewer than two classes"):
        metrics.auroc_ovo_error(logits, np.full(50, 2))


def test_mask_metrics(rng):
    logits, mask = rng.normal(size=(5, 8, 9)).astype(np.float32), rng.random((5, 8, 9)) < 0.2
    logits[0, 0, :4] = 0  # not above 0: negative
    positive = (logits > 0).ravel()
    assert metrics.mask_auroc_error(logits, mask) == pytest.approx(1 - roc_auc_score(mask.ravel(), positive), **CLOSE)
    assert metrics.false_negative_rate(logits, mask) == pytest.approx(1 - recall_score(mask.ravel(), positive), **CLOSE)
    for value in (0, 1):
        with pytest.raises(ValueError, match="positive and a negative pixel"):
            metrics.mask_auroc_error(logits, np.full(mask.shape, value))
    with pytest.raises(ValueError, match="no positive pixel"):
        metrics.false_negative_rate(logits, np.zeros_like(mask))


def test_relative_l2_and_nrmse(rng):
    pred, target = rng.normal(size=(6, 5, 4)).astype(np.float32), rng.normal(size=(6, 5, 4)).astype(np.float32)
    ratios, scaled = [], []
    for p, t in zip(pred.astype(np.float64), target.astype(np.float64), strict=True):
        ratios.append(sum((p - t).ravel() ** 2) ** 0.5 / sum(t.ravel() ** 2) ** 0.5)
        scaled.append(np.sqrt(((p - t) ** 2).mean()) / np.sqrt((t**2).mean()))
    assert metrics.relative_l2(pred, target) == pytest.approx(np.mean(ratios), **CLOSE)
    assert metrics.nrmse(pred, target) == pytest.approx(np.mean(scaled), **CLOSE)
    target[2] = 0
    with pytest.raises(ValueError, match="sample 2 is zero"):
        metrics.relative_l2(pred, target)


def mae_8_loop(pred, target, lengths, padding):
    values = []
    for p, t, length in zip(pred.astype(np.float64), target.astype(np.float64), lengths, strict=True):
        errors = []
        for i in range(length):
            for j in range(i + 24, length):
                a, b = i + padding // 2, j + padding // 2
                if t[a, b] <= 8:
                    errors.append(abs((max(p[a, b], 0.01) + max(p[b, a], 0.01)) / 2 - t[a, b]))
        if errors:
            values.append(np.mean(errors))
    return np.mean(values)


@pytest.mark.parametrize("padding", [0, 7, 10])
def test_mae_8(rng, padding):
    pred = rng.normal(6, 5, (5, 70, 70)).astype(np.float32)
    target = rng.uniform(3, 20, (5, 70, 70)).astype(np.float32)
    target = (target + target.transpose(0, 2, 1)) / 2
    lengths = np.array([60, 41, 25, 24, 33])  # 24 residues have no pair 24 apart
    target[2, padding // 2, padding // 2 + 24] = 8.0  # the limit belongs to the set
    expected = mae_8_loop(pred, target, lengths, padding)
    assert metrics.mae_8(pred, target, lengths, padding=padding) == pytest.approx(expected, **CLOSE)
    # Transposing a prediction changes nothing, and lengths go with their proteins.
    assert metrics.mae_8(pred.transpose(0, 2, 1), target, lengths, padding=padding) == pytest.approx(expected, **CLOSE)
    assert metrics.mae_8(pred[::-1], target[::-1], lengths[::-1], padding=padding) == pytest.approx(expected, **CLOSE)
    # What lies in the padding does not count.
    outside = np.ones_like(target, dtype=bool)
    for row, length in enumerate(lengths):
        outside[row, padding // 2 : padding // 2 + length, padding // 2 : padding // 2 + length] = False
    assert metrics.mae_8(np.where(outside, 1e6, pred), np.where(outside, 0, target), lengths, padding=padding) == pytest.approx(expected, **CLOSE)


def test_mae_8_refuses(rng):
    maps, lengths = rng.uniform(9, 20, (2, 40, 40)), np.array([30, 30])
    with pytest.raises(ValueError, match="no protein has a pair"):
        metrics.mae_8(maps, maps, lengths)
    with pytest.raises(ValueError, match="do not fit maps of size 40"):
        metrics.mae_8(maps, maps, np.array([30, 31]))
    with pytest.raises(ValueError, match=r"lengths must be \[2\]"):
        metrics.mae_8(maps, maps, lengths[:1])
    with pytest.raises(ValueError, match="n size size"):
        metrics.mae_8(maps[:, :39], maps[:, :39], lengths)


CASES = {
    "error_rate": ("classes", metrics.error_rate),
    "macro_f1_error": ("classes", metrics.macro_f1_error),
    "auroc_ovo_error": ("classes", metrics.auroc_ovo_error),
    "map_error": ("labels", metrics.map_error),
    "auroc_error": ("labels", metrics.auroc_error),
    "mask_auroc_error": ("labels", metrics.mask_auroc_error),
    "false_negative_rate": ("labels", metrics.false_negative_rate),
    "relative_l2": ("field", metrics.relative_l2),
    "nrmse": ("field", metrics.nrmse),
    "mae_8": ("pairs", lambda pred, target: metrics.mae_8(pred, target, [30] * len(target), padding=0)),
}


def example(kind, rng):
    outputs = rng.normal(size=(30, 5)).astype(np.float32)
    if kind == "classes":
        return outputs, rng.integers(0, 5, 30)
    if kind == "labels":
        return outputs, (rng.random((30, 5)) < 0.5).astype(np.float32)
    if kind == "pairs":
        return rng.uniform(2, 9, (3, 30, 30)).astype(np.float32), rng.uniform(2, 9, (3, 30, 30)).astype(np.float32)
    return outputs, rng.normal(size=(30, 5)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_torch_and_numpy_give_the_same_float(rng, name):
    kind, metric = CASES[name]
    outputs, targets = example(kind, rng)
    value = metric(outputs, targets)
    assert type(value) is float
    assert metric(torch.from_numpy(outputs).requires_grad_(), torch.from_numpy(targets)) == value
    coarse = torch.from_numpy(outputs).bfloat16()
    assert metric(coarse, targets) == metric(coarse.float().numpy(), targets)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused(rng, name):
    kind, metric = CASES[name]
    outputs, targets = example(kind, rng)
    for bad in (np.nan, np.inf):
        broken = outputs.copy()
        broken[0, 0] = bad
        with pytest.raises(ValueError, match="NaN or infinite"):
            metric(broken, targets)
    with pytest.raises(ValueError, match="empty"):
        metric(outputs[:0], targets[:0])
    with pytest.raises(ValueError, match=r"shape|need logits"):
        metric(outputs, targets[:-1])


def test_bad_targets_are_refused():
    with pytest.raises(ValueError, match="do not fit logits of 2 classes"):
        metrics.error_rate(np.zeros((2, 2)), [0, 2])
    with pytest.raises(ValueError, match="must be integers"):
        metrics.error_rate(np.zeros((2, 2)), [0, 0.5])
    with pytest.raises(ValueError, match="must be 0 or 1"):
        metrics.map_error(np.zeros((2, 2)), np.full((2, 2), 0.5))
    with pytest.raises(ValueError, match="real numbers"):
        metrics.error_rate(np.array([["a", "b"]]), [0])
    # (n, n) against (n, 1, n): broadcasting would score n^2 pairs.
    with pytest.raises(ValueError, match="shape"):
        metrics.relative_l2(np.ones((3, 3)), np.ones((3, 1, 3)))


def test_channel_nrmse_counts_every_quantity_alike():
    rng = np.random.default_rng(0)
    target = rng.standard_normal((4, 3, 5, 6)) * np.array([1.0, 1e3, 1e-3])[:, None, None]
    pred = target + 0.1 * rng.standard_normal(target.shape) * np.array([1.0, 1e3, 1e-3])[:, None, None]
    by_hand = np.array(
        [[np.sqrt(((p - t) ** 2).mean()) / np.sqrt((t**2).mean()) for p, t in zip(*pair, strict=True)] for pair in zip(pred, target, strict=True)]
    )
    assert metrics.channel_nrmse(pred, target) == pytest.approx(by_hand.mean())
    assert metrics.median_nrmse(pred, target) == pytest.approx(np.median(by_hand.mean(1)))
    assert metrics.channel_nrmse(pred[:, :1], target[:, :1]) == pytest.approx(metrics.nrmse(pred[:, :1], target[:, :1]))


def test_channel_nrmse_refuses_what_it_cannot_score():
    with pytest.raises(ValueError, match="channel 1 of target sample 2 is zero everywhere"):
        metrics.channel_nrmse(np.ones((3, 2, 4)), np.ones((3, 2, 4)) * np.array([[1, 1], [1, 1], [1, 0]])[:, :, None])
    with pytest.raises(ValueError, match="at least three axes"):
        metrics.channel_nrmse(np.ones((3, 4)), np.ones((3, 4)))
