"""Temperature scaling: calibrate a model's confidence to its accuracy."""

import keras
import numpy as np

# Confidence is divided by one of these in the logits.
TEMPERATURES = np.geomspace(0.25, 4, 400)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the labels."""
    chosen = softmax(logits)[np.arange(len(labels)), labels]
    return float(np.log(np.maximum(chosen, 1e-12)).mean())


def best_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature (Guo et al. 2017) that maximises the likelihood of the labels.

    `probabilities` (count, classes) and `labels` (count,) must be of pictures that the
    model was not trained on.
    """
    logits = np.log(np.maximum(probabilities, 1e-12))
    scores = [log_likelihood(logits / degree, labels) for degree in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmax(scores))])


def apply_temperature(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a model whose last layer is its softmax."""
    last = model.layers[-1]
    last.kernel.assign(last.kernel / temperature)
    last.bias.assign(last.bias / temperature)
