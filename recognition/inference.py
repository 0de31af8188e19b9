"""Keras model → fast forward pass; the answers to several views pooled."""

import os
import threading
from collections.abc import Iterator
from typing import NamedTuple

# Training may run on another backend, the service does not.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A picture takes the CPU a millisecond; on a GPU each worker would claim all memory.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# NumPy and OpenCV would each start a thread for every core.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from recognition.decoding import Picture, decode
from recognition.framing import ModelInput, model_inputs
from recognition.localization import Box

# Below this best probability the other views of a picture count too.
CONFIDENCE_THRESHOLD = 0.97
# The weight of each view. The sum is above 1, as several views that agree are surer
# than each of them is.
VIEW_WEIGHTS = np.array([[0.35], [0.35], [0.2], [0.2]])
# No view alone rules a digit out.
PROBABILITY_FLOOR = 1e-9


class Prepared(NamedTuple):
    """A picture as the likeliest input of the model, and other views of it."""

    first: ModelInput
    others: Iterator[ModelInput]
    format: str


class Recognition(NamedTuple):
    """`probabilities`: float (10,); `pixels`: the model's input that shows the digit
    most clearly, float32 (140, 90, 3); `box`: where in the upright picture that is,
    None for the whole of it; `format`: "JPEG" or "PNG".
    """

    probabilities: np.ndarray
    pixels: np.ndarray
    box: Box | None
    format: str

    def ranking(self) -> list[tuple[int, float]]:
        """Each digit and its probability in percent, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable").tolist()
        percent = (100 * self.probabilities.astype(float)).tolist()
        return [(digit, round(percent[digit], 2)) for digit in order]


def prepare(picture: Picture) -> Prepared:
    inputs = model_inputs(picture)
    return Prepared(next(inputs), inputs, picture.format)


class Recogniser:
    """A Keras model that reads pictures; threads may share it."""

    def __init__(self, model: keras.Model) -> None:
        self._interpreter = compile_model(model)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        # An interpreter holds one picture between set_tensor and get_tensor.
        self._lock = threading.Lock()
        # The first pass is slow; a service whose model fails must not start.
        self._blank = np.ones(model.input_shape[1:], np.float32)
        self.classify(self._blank)

    def is_working(self) -> bool:
        """Whether the model answers a blank picture with numbers."""
        return bool(np.isfinite(self.classify(self._blank)).all())

    def recognise(self, data: bytes, max_pixels: int) -> Recognition:
        """Read the bytes of a JPEG or PNG. Raises InvalidImage."""
        return self.predict(prepare(decode(data, max_pixels)))

    def predict(self, prepared: Prepared) -> Recognition:
        probabilities, clearest = self.classify(prepared.first.pixels), prepared.first
        if probabilities.max() < CONFIDENCE_THRESHOLD:
            # Ink may have been taken for paper, or shade for ink.
            inputs = [prepared.first, *prepared.others]
            others = [self.classify(each.pixels) for each in inputs[1:]]
            answers = np.array([probabilities, *others])
            probabilities = pool(answers)
            clearest = inputs[answers[:, probabilities.argmax()].argmax()]
        return Recognition(probabilities, *clearest, prepared.format)

    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """A model's input, float32 (140, 90, 3) in [0, 1] → the probabilities (10,)."""
        with self._lock:
            self._interpreter.set_tensor(self._input, pixels[np.newaxis])
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._output)[0]


def compile_model(model: keras.Model) -> Interpreter:
    """A model for one picture at a time, run by LiteRT in the thread that calls it.

    Its weights are rounded to 8 bits, which moves most probabilities by less than two
    percent and takes a fifth of TensorFlow's CPU time, a hundredth of Keras's predict.
    """
    function = tf.function(lambda pixels: model(pixels, training=False))
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    weights = tf.Module()
    weights.values = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(spec)], weights
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def pool(answers: np.ndarray) -> np.ndarray:
    """The probabilities by each view, (4, 10), → those by all of them, (10,).

    A logarithmic opinion pool (Genest & Zidek 1986).
    """
    product = np.prod(np.maximum(answers, PROBABILITY_FLOOR) ** VIEW_WEIGHTS, axis=0)
    return product / product.sum()
