"""What the answers to labelled pictures are worth.

`labels` are int (n,), `probabilities` float (n, 10).
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

BINS = 15


class Bin(NamedTuple):
    """The answers of about the same confidence: their number, and means of both."""

    count: int
    confidence: float
    accuracy: float


def wilson(right: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` in `count` (Wilson 1927)."""
    z, share = 1.96, right / count
    middle = share + z * z / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def is_right(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return probabilities.argmax(axis=1) == labels


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> list[Bin]:
    """Those of BINS equally wide bins of the best probability that are not empty."""
    return filled_bins(probabilities.max(axis=1), is_right(labels, probabilities))


def filled_bins(best: np.ndarray, right: np.ndarray) -> list[Bin]:
    # The upper edge belongs to a bin.
    places = np.ceil(best * BINS).astype(int)
    members = [places == place for place in np.unique(places)]
    return [Bin(int(m.sum()), float(best[m].mean()), right[m].mean()) for m in members]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error (Guo et al. 2017)."""
    return calibration_error_of(
        probabilities.max(axis=1), is_right(labels, probabilities)
    )


def calibration_error_of(best: np.ndarray, right: np.ndarray) -> float:
    """The same, of answers of which only the best probability is known."""
    bins = filled_bins(best, right)
    return sum(b.count * abs(b.accuracy - b.confidence) for b in bins) / len(best)


def accuracy_at(
    coverage: float, labels: np.ndarray, probabilities: np.ndarray
) -> float:
    """The accuracy over that share of the pictures whose answers are the surest."""
    surest = np.argsort(-probabilities.max(axis=1), kind="stable")
    kept = surest[: max(1, int(coverage * len(labels)))]
    return float(is_right(labels, probabilities)[kept].mean())


def confusions(labels: np.ndarray, probabilities: np.ndarray) -> Counter:
    """How often a digit was read as another: {(digit, answer): times}."""
    answers = probabilities.argmax(axis=1)
    pairs = zip(labels.tolist(), answers.tolist(), strict=True)
    return Counter(pair for pair in pairs if pair[0] != pair[1])
