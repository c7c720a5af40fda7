"""Scores of a whole split: raw network outputs and targets in, one float out, lower is better.

Every function takes numpy arrays or torch tensors (any device), computes in float64 and raises ``ValueError`` for empty input, shapes or
targets that do not fit, and outputs that are NaN or infinite. Nothing is chunked: a score of chunks averaged is another number for F1,
AUROC and average precision. This module does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ArrayOrTensor = Any

CONTACT_ANGSTROM = 8.0
LONG_RANGE_RESIDUES = 24
MIN_DISTANCE_ANGSTROM = 0.01


def error_rate(logits: ArrayOrTensor, labels: ArrayOrTensor) -> float:
    """Return the share of wrong top-1 classes.

    Args:
        logits: ``[n classes]``; of equal largest logits the lowest class counts.
        labels: integers ``[n]`` in ``0 .. classes - 1``.
    """
    scores, classes = _class_scores(logits, labels)
    return float(np.mean(np.argmax(scores, axis=1) != classes))


def macro_f1_error(logits: ArrayOrTensor, labels: ArrayOrTensor) -> float:
    """Return 1 - macro F1: the mean over the classes that occur in the targets or the predictions of F1 = 2 TP / (2 TP + FP + FN).

    Args:
        logits: ``[n classes]``.
        labels: integers ``[n]``.
    """
    scores, classes = _class_scores(logits, labels)
    predicted = np.argmax(scores, axis=1)
    size = scores.shape[1]
    hits = np.bincount(classes[predicted == classes], minlength=size).astype(np.float64)
    # TP + FN and TP + FP together are the denominator of F1.
    occurrences = np.bincount(classes, minlength=size) + np.bincount(predicted, minlength=size)
    present = occurrences > 0
    return float(1.0 - np.mean(2.0 * hits[present] / occurrences[present]))


def map_error(logits: ArrayOrTensor, targets: ArrayOrTensor) -> float:
    """Return 1 - mean average precision over the labels.

    Average precision is sum_n (R_n - R_(n-1)) P_n over the distinct scores in falling order (no interpolation), as in scikit-learn. A label
    without positives has none and is left out.

    Args:
        logits: ``[n labels]``.
        targets: ``[n labels]``, 0 or 1.

    Raises:
        ValueError: also when no label has a positive.
    """
    scores, truth = _binary_columns(logits, targets)
    defined: NDArray[np.bool_] = np.any(truth, axis=0)
    if not defined.any():
        raise ValueError("average precision is undefined: no label has a positive example")
    return 1.0 - _mean_over_columns(_average_precision, scores, truth, defined)


def auroc_error(logits: ArrayOrTensor, targets: ArrayOrTensor) -> float:
    """Return 1 - the area under the ROC curve, averaged over the labels that have both a positive and a negative example.

    Equal scores count one half (Mann-Whitney), as in scikit-learn.

    Args:
        logits: ``[n labels]``.
        targets: ``[n labels]``, 0 or 1.

    Raises:
        ValueError: also when no label has both.
    """
    scores, truth = _binary_columns(logits, targets)
    defined: NDArray[np.bool_] = np.any(truth, axis=0) & ~np.all(truth, axis=0)
    if not defined.any():
        raise ValueError("AUROC is undefined: no label has both a positive and a negative example")
    return 1.0 - _mean_over_columns(_auroc, scores, truth, defined)


def auroc_ovo_error(logits: ArrayOrTensor, labels: ArrayOrTensor) -> float:
    """Return 1 - AUROC of softmax probabilities: binary, or the plain mean over pairs of classes (Hand & Till 2001).

    For two columns the score is the probability of class 1. Otherwise, for each pair (a, b) of classes that occur in ``labels``, AUROC of p_a
    for a against b and of p_b for b against a are averaged; scikit-learn's ``multi_class="ovo", average="macro"``. Examples are ranked by
    :func:`class_log_odds`, which have the order of the probabilities and, unlike them, do not round to 0 or 1.

    Args:
        logits: ``[n classes]``.
        labels: integers ``[n]``.

    Raises:
        ValueError: also when fewer than two classes occur.
    """
    scores, classes = _class_scores(logits, labels)
    present = np.unique(classes)
    if len(present) < 2:
        raise ValueError("AUROC is undefined: fewer than two classes occur in the labels")
    odds = class_log_odds(scores)
    if scores.shape[1] == 2:
        return 1.0 - _auroc(odds[:, 1], classes == 1)
    values = []
    for position, first in enumerate(present):
        for second in present[position + 1 :]:
            pair = (classes == first) | (classes == second)
            is_first = classes[pair] == first
            values.append((_auroc(odds[pair, first], is_first) + _auroc(odds[pair, second], ~is_first)) / 2)
    return float(1.0 - np.mean(values))


def class_log_odds(logits: ArrayOrTensor) -> NDArray[np.float64]:
    """Return log(p / (1 - p)) ``[n classes]`` of the softmax probabilities p: each logit minus the log of the summed exponentials of the others.

    What ranks by a probability ranks by these. A softmax in double precision is exactly 0 or 1 where logits are some 40 (or, below, 745) apart,
    so that confident examples tie, and its logarithm still ties those near 1; here the order is kept at both ends.

    Args:
        logits: ``[n classes]``, at least two classes.

    Raises:
        ValueError: also when there are fewer classes.
    """
    scores = _array(logits, "logits").astype(np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"logits must be [n classes] with at least two classes, not {list(scores.shape)}")
    # Relative to the largest, as in a softmax: rows that differ by a constant tie. The floor keeps differences finite.
    with np.errstate(over="ignore"):
        relative = np.maximum(scores - scores.max(axis=1, keepdims=True), -np.finfo(np.float64).max / 4)
    odds = np.empty_like(relative)
    for column in range(relative.shape[1]):
        # In rising order, so that a sum does not depend on which class has which logit: what ties on paper ties here.
        others = np.sort(np.delete(relative, column, axis=1), axis=1)
        odds[:, column] = relative[:, column] - others[:, -1] - np.log(np.exp(others - others[:, -1:]).sum(axis=1))
    return odds


def mask_auroc_error(logits: ArrayOrTensor, mask: ArrayOrTensor) -> float:
    """Return 1 - (TPR + TNR) / 2 over all pixels of the set, with a positive where the logit exceeds 0.

    This is the AUROC of the thresholded map, which is what the published Cosmic scores are. Pixels to ignore are left out by the caller.

    Args:
        logits: any shape.
        mask: same shape, 0 or 1.

    Raises:
        ValueError: also when the mask has no positive or no negative pixel.
    """
    positive, truth = _thresholded(logits, mask)
    num_positive = np.count_nonzero(truth)
    num_negative = truth.size - num_positive
    if num_positive == 0 or num_negative == 0:
        raise ValueError("mask AUROC is undefined: the mask needs a positive and a negative pixel")
    hits = np.count_nonzero(positive & truth)
    rejections = np.count_nonzero(~(positive | truth))
    return float(1.0 - (hits / num_positive + rejections / num_negative) / 2)


def false_negative_rate(logits: ArrayOrTensor, mask: ArrayOrTensor) -> float:
    """Return FN / (TP + FN) over all pixels of the set, with a positive where the logit exceeds 0.

    Args:
        logits: any shape.
        mask: same shape, 0 or 1.

    Raises:
        ValueError: also when the mask has no positive pixel.
    """
    positive, truth = _thresholded(logits, mask)
    num_positive = np.count_nonzero(truth)
    if num_positive == 0:
        raise ValueError("false negative rate is undefined: the mask has no positive pixel")
    return float(np.count_nonzero(truth & ~positive) / num_positive)


def relative_l2(pred: ArrayOrTensor, target: ArrayOrTensor) -> float:
    """Return the mean over samples of ||pred - target||_2 / ||target||_2, each sample flattened.

    Args:
        pred: ``[n ...]`` in the physical (decoded) units of ``target``.
        target: ``[n ...]``.

    Raises:
        ValueError: also when a target sample is zero everywhere.
    """
    outputs, truth = _fields(pred, target)
    norms = np.linalg.norm(truth, axis=1)
    if not norms.all():
        raise ValueError(f"relative error is undefined: target sample {int(np.argmin(norms))} is zero everywhere")
    return float(np.mean(np.linalg.norm(outputs - truth, axis=1) / norms))


def nrmse(pred: ArrayOrTensor, target: ArrayOrTensor) -> float:
    """Return the mean over samples of RMSE_i / RMS_i, where all channels and points of a sample are flattened; no epsilon.

    This is the score of ORCA and PaRe on PDEBench; PDEBench's own nRMSE is taken per channel and time step and is another number. As both
    means run over the same points, it equals :func:`relative_l2`.

    Args:
        pred: ``[n ...]``.
        target: ``[n ...]``.

    Raises:
        ValueError: also when a target sample is zero everywhere.
    """
    return relative_l2(pred, target)


def channel_nrmse(pred: ArrayOrTensor, target: ArrayOrTensor) -> float:
    """Return PDEBench's nRMSE: RMSE / RMS over the places of each channel (a quantity at a time), mean over samples and channels.

    Args:
        pred: ``[n channels ...]``, in the units of ``target``.
        target: ``[n channels ...]``.

    Raises:
        ValueError: also when a channel of a target sample is zero everywhere.
    """
    return float(_channel_errors(pred, target).mean())


def median_nrmse(pred: ArrayOrTensor, target: ArrayOrTensor) -> float:
    """Return the median over samples of what :func:`channel_nrmse` is the mean of; arguments and errors as there."""
    return float(np.median(_channel_errors(pred, target).mean(axis=1)))


def mae_8(pred: ArrayOrTensor, target: ArrayOrTensor, lengths: ArrayOrTensor, padding: int = 10) -> float:
    """Return MAE_8 of long-range residue pairs, in angstrom.

    Predictions are floored at 0.01, the padding is cut off, the map is symmetrised as (D + D^T) / 2; then the mean of |D_hat - D| over the
    pairs with j - i >= 24 and true D <= 8 is taken per protein, and the mean of these over proteins. A protein without such a pair is left out.

    Args:
        pred: predicted distances ``[n size size]``.
        target: true distances ``[n size size]``; the upper triangle counts.
        lengths: residues of each protein ``[n]``; residue i lies at pixel ``padding // 2 + i``.
        padding: padded pixels of a side in all, half before and half after the protein.

    Raises:
        ValueError: also when a protein does not fit the map or no protein has such a pair.
    """
    outputs, truth = _array(pred, "pred"), _array(target, "target")
    residues = _integers(lengths, "lengths")
    _same_shape(outputs, truth)
    if outputs.ndim != 3 or outputs.shape[1] != outputs.shape[2]:
        raise ValueError(f"pred must be [n size size], not {list(outputs.shape)}")
    if residues.shape != (len(outputs),):
        raise ValueError(f"lengths must be [{len(outputs)}], not {list(residues.shape)}")
    if padding < 0 or residues.min() < 1 or residues.max() + padding > outputs.shape[1]:
        raise ValueError(f"lengths {residues.min()}..{residues.max()} with padding {padding} do not fit maps of size {outputs.shape[1]}")
    start = padding // 2
    values = []
    for index, length in enumerate(residues.tolist()):
        window = (index, slice(start, start + length), slice(start, start + length))
        distances = truth[window].astype(np.float64)
        floored = np.maximum(outputs[window].astype(np.float64), MIN_DISTANCE_ANGSTROM)
        scored = np.triu(distances <= CONTACT_ANGSTROM, k=LONG_RANGE_RESIDUES)
        if scored.any():
            values.append(np.mean(np.abs((floored + floored.T) / 2 - distances)[scored]))
    if not values:
        raise ValueError("MAE_8 is undefined: no protein has a pair 24 residues apart within 8 angstrom")
    return float(np.mean(values))


def _array(values: ArrayOrTensor, name: str) -> NDArray[Any]:
    """Return ``values`` as a non-empty array of finite numbers, in their own type."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # numpy has no bfloat16; float32 holds every bfloat16 exactly.
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    array = np.asarray(values)
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {list(array.shape)}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, not {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinite values")
    return array


def _same_shape(outputs: NDArray[Any], truth: NDArray[Any]) -> None:
    if outputs.shape != truth.shape:
        raise ValueError(f"outputs have shape {list(outputs.shape)}, targets {list(truth.shape)}")


def _integers(values: ArrayOrTensor, name: str) -> NDArray[np.int64]:
    array = _array(values, name)
    integers = array.astype(np.int64)
    if array.dtype.kind == "f" and (integers != array).any():
        raise ValueError(f"{name} must be integers")
    return integers


def _class_scores(logits: ArrayOrTensor, labels: ArrayOrTensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    scores, classes = _array(logits, "logits").astype(np.float64), _integers(labels, "labels")
    if scores.ndim != 2 or classes.shape != (len(scores),):
        raise ValueError(f"need logits [n classes] and labels [n], not {list(scores.shape)} and {list(classes.shape)}")
    if classes.min() < 0 or classes.max() >= scores.shape[1]:
        raise ValueError(f"labels {classes.min()}..{classes.max()} do not fit logits of {scores.shape[1]} classes")
    return scores, classes


def _zero_one(values: ArrayOrTensor, name: str) -> NDArray[np.bool_]:
    array = _array(values, name)
    truth: NDArray[np.bool_] = np.not_equal(array, 0)
    if (array != truth).any():
        raise ValueError(f"{name} must be 0 or 1")
    return truth


def _binary_columns(logits: ArrayOrTensor, targets: ArrayOrTensor) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    scores, truth = _array(logits, "logits"), _zero_one(targets, "targets")
    if scores.ndim != 2:
        raise ValueError(f"logits must be [n labels], not {list(scores.shape)}")
    _same_shape(scores, truth)
    return scores, truth


def _thresholded(logits: ArrayOrTensor, mask: ArrayOrTensor) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    scores, truth = _array(logits, "logits"), _zero_one(mask, "mask")
    _same_shape(scores, truth)
    return scores > 0, truth


def _fields(pred: ArrayOrTensor, target: ArrayOrTensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    outputs, truth = _array(pred, "pred").astype(np.float64), _array(target, "target").astype(np.float64)
    _same_shape(outputs, truth)
    if outputs.ndim < 2:
        raise ValueError(f"pred must be [n ...] with at least one axis after n, not {list(outputs.shape)}")
    return outputs.reshape(len(outputs), -1), truth.reshape(len(truth), -1)


def _channel_errors(pred: ArrayOrTensor, target: ArrayOrTensor) -> NDArray[np.float64]:
    """Return the relative error of each channel ``[n channels]``."""
    outputs, truth = _array(pred, "pred"), _array(target, "target")
    _same_shape(outputs, truth)
    if truth.ndim < 3:
        raise ValueError(f"fields with channels have at least three axes, not {list(truth.shape)}")
    outputs, truth = (values.astype(np.float64).reshape(*values.shape[:2], -1) for values in (outputs, truth))
    norms = np.linalg.norm(truth, axis=2)
    if not norms.all():
        sample, channel = (int(place[0]) for place in np.nonzero(norms == 0))
        raise ValueError(f"relative error is undefined: channel {channel} of target sample {sample} is zero everywhere")
    return np.linalg.norm(outputs - truth, axis=2) / norms


def _mean_over_columns(
    score: Callable[[NDArray[Any], NDArray[np.bool_]], float], scores: NDArray[Any], truth: NDArray[np.bool_], defined: NDArray[np.bool_]
) -> float:
    # One column at a time: sorting dominates anyway, and the temporaries stay of size n.
    return float(np.mean([score(scores[:, column], truth[:, column]) for column in np.flatnonzero(defined)]))


def _average_precision(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    ordered = scores[order]
    last_of_tie = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    hits = np.cumsum(truth[order])[last_of_tie]
    precision = hits / (last_of_tie + 1)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


def _auroc(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    last_of_tie = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    positives = np.diff(np.cumsum(truth[order])[last_of_tie], prepend=0)
    negatives = np.diff(last_of_tie, prepend=-1) - positives
    below = np.cumsum(negatives) - negatives
    # A pair counts 1 when the positive scores higher and 1/2 when both score the same; whole and half counts are exact in float64.
    return float(np.sum(positives * (below + negatives / 2)) / (positives.sum() * negatives.sum()))
