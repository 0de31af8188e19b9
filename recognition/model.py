"""A model.keras, ours or one's own → a fast forward pass that answers as Keras does."""

import os
from collections.abc import Callable
from pathlib import Path
from zipfile import is_zipfile

# Training may run on another backend, the service does not.
os.environ["KERAS_BACKEND"] = "tensorflow"
# A picture takes the CPU a millisecond; on a GPU each worker would claim all memory.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# oneDNN compiles machine code at run time, which hardened systems forbid.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# NumPy and OpenCV would each start a thread for every core.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from recognition.quiet import native_messages_hidden

with native_messages_hidden():
    import keras as keras  # for inference too
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

CLASSES = 10
REQUIREMENT = (
    "a model must be a Keras 3 file with one input, (height, width, 3) or "
    "(height, width, 1), and ten outputs that sum to one."
)
# By how much the outputs may miss one, as those of 16-bit models do.
SUM_TOLERANCE = 0.01
# By how much a probability may differ from Keras's: half a percent.
TOLERANCE = 0.005
ROUNDED = "LiteRT with 8-bit weights"

# One picture, float32 (height, width, channels) → the probabilities, float32 (10,).
ForwardPass = Callable[[np.ndarray], np.ndarray]


class UnfitModel(ValueError):
    """The model cannot be served; the message, a sentence, says what one must be."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; {REQUIREMENT}")


def load_model(path: Path) -> keras.Model:
    """Raises UnfitModel."""
    try:
        with path.open("rb") as file:
            is_archive = is_zipfile(file)
    except OSError as error:
        raise UnfitModel(f"{path.name} cannot be read ({error.strerror})") from error
    if not is_archive:
        raise UnfitModel(f"{path.name} is not a Keras 3 file, or is cut off")
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever a layer or a damaged file does
        cannot = f"Keras {keras.__version__} cannot load {path.name}"
        raise UnfitModel(f"{cannot} ({reason_of(error)})") from error
    check_shapes(model)
    return model


def reason_of(error: Exception) -> str:
    """In one line: messages of Keras have paragraphs, those of TensorFlow colours.

    For the operator who starts the service, never for a client.
    """
    line = " ".join(str(error).split())[:200]
    return "".join(filter(str.isprintable, line)) or type(error).__name__


def check_shapes(model: keras.Model) -> None:
    """Raises UnfitModel."""
    if not getattr(model, "inputs", None):
        raise UnfitModel("The model was saved before it was built")
    inputs = [tuple(each.shape[1:]) for each in model.inputs]
    outputs = [tuple(each.shape[1:]) for each in model.outputs]
    is_picture = len(inputs[0]) == 3 and all(inputs[0]) and inputs[0][2] in (1, 3)
    if len(inputs) != 1 or not is_picture:
        raise UnfitModel(f"The model's input is {described(inputs)}")
    if outputs != [(CLASSES,)]:
        raise UnfitModel(f"The model's output is {described(outputs)}")


def described(shapes: list[tuple[int | None, ...]]) -> str:
    return " and ".join(map(str, shapes))


def choose_forward_pass(
    model: keras.Model, pictures: np.ndarray, tolerance: float
) -> tuple[str, ForwardPass]:
    """The fastest that answers float32 (n, height, width, channels) as Keras does, with
    its name.

    `tolerance`: by how much 8-bit weights may change a probability. Raises UnfitModel.
    """
    try:
        expected = keras_answers(model, pictures)
    except Exception as error:  # whatever a layer raises
        raise UnfitModel(f"Keras cannot run the model ({reason_of(error)})") from error
    if not np.isfinite(expected).all():
        raise UnfitModel("The model's outputs are not numbers")
    if not are_probabilities(expected):
        raise UnfitModel("The model's outputs do not sum to one (softmax is missing)")
    for name, compiled in FORWARD_PASSES.items():
        most = tolerance if name == ROUNDED else TOLERANCE
        try:
            with native_messages_hidden():
                forward = compiled(model)
            if answers_alike(forward, pictures, expected, most):
                return name, forward
        except Exception:  # LiteRT lacks operations, and raises what it likes
            continue
    raise UnfitModel("The model answers the same picture differently each time")


def answers_alike(
    forward: ForwardPass, pictures: np.ndarray, expected: np.ndarray, tolerance: float
) -> bool:
    """Ends at the first difference, as a slow model takes long over each picture."""
    return all(
        np.abs(forward(each) - known).max() <= tolerance
        for each, known in zip(pictures, expected, strict=True)
    )


def keras_answers(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """One picture at a time, since a model may be built for batches of one."""
    batches = [model(each[np.newaxis], training=False) for each in pictures]
    return np.concatenate(
        [np.asarray(a, np.float32) for each in batches for a in tf.nest.flatten(each)]
    )


def are_probabilities(answers: np.ndarray) -> bool:
    """Whether float (n, 10) are numbers from 0 to 1 that sum to one each."""
    sums = np.abs(answers.sum(axis=1) - 1)
    return bool((answers >= 0).all() and (sums <= SUM_TOLERANCE).all())


def traced(model: keras.Model) -> tf.types.experimental.ConcreteFunction:
    """One forward pass of one picture, as a graph."""

    def forward(pixels: tf.Tensor) -> tf.Tensor:
        (answers,) = tf.nest.flatten(model(pixels, training=False))
        return tf.cast(answers, tf.float32)

    spec = tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32)
    return tf.function(forward).get_concrete_function(spec)


def litert_file(model: keras.Model, optimizations: list[tf.lite.Optimize]) -> bytes:
    weights = tf.Module()
    weights.values = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [traced(model)], weights
    )
    converter.optimizations = optimizations
    content: bytes = converter.convert()
    return content


def by_litert(model: keras.Model, optimizations: list[tf.lite.Optimize]) -> ForwardPass:
    """LiteRT in the thread that calls, which must be one at a time."""
    content = litert_file(model, optimizations)
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]

    def forward(pixels: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, pixels[np.newaxis])
        interpreter.invoke()
        answer: np.ndarray = interpreter.get_tensor(target)[0]
        return answer

    return forward


def by_tensorflow(model: keras.Model) -> ForwardPass:
    function = traced(model)
    return lambda pixels: function(tf.constant(pixels[np.newaxis])).numpy()[0]


FAST = [tf.lite.Optimize.DEFAULT]
# The fastest first: weights of 8 bits take a third of the time of those of 32, and a
# hundredth of that of Keras's predict.
FORWARD_PASSES = {
    ROUNDED: lambda model: by_litert(model, FAST),
    "LiteRT": lambda model: by_litert(model, []),
    "TensorFlow": by_tensorflow,
}
