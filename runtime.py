"""TensorFlow and LiteRT as the service runs them.

gunicorn's master imports this too, so that its workers share the code and start sooner.
That is safe only as long as it starts no thread and runs no operation: none of either
survives the fork. So the model is each worker's own.
"""

import os
from collections.abc import Callable

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


def compiled(model: keras.Model) -> Interpreter:
    """A model for one picture at a time, run by LiteRT in the thread that calls it.

    Its weights are rounded to 8 bits, which moves most probabilities by less than two
    percent and takes a fifth of TensorFlow's CPU time, a hundredth of keras's predict.
    """
    first = next(x for x in model.layers if isinstance(x, keras.layers.Conv2D))
    before = keras.Model(model.input, first.input)
    after = keras.Model(first.output, model.output)
    convolve = in_groups(first)
    function = tf.function(lambda pixels: after(convolve(before(pixels))))
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


def in_groups(layer: keras.layers.Conv2D) -> Callable[[tf.Tensor], tf.Tensor]:
    """The layer, with as many pixels of a row as it strides seen as one.

    One tap for many channels takes LiteRT less time than many taps for three each: all
    of the model a fifth less. For kernels of one to two strides, padded as "same", if
    that completes the groups at the left, as 2 + 90 = 23 x 4: else it raises.
    """
    _, rows, columns, channels = layer.input.shape
    (down, stride), width = layer.strides, layer.kernel_size[1]
    _, _, groups, filters = layer.output.shape
    # What "same" pads at the left; at the right it pads a group.
    left = (groups * stride - stride + width - columns) // 2
    kernel, bias = layer.get_weights()
    kernel = np.pad(kernel, ((0, 0), (0, 2 * stride - width), (0, 0), (0, 0)))
    kernel = kernel.reshape(-1, 2, stride * channels, filters)

    def convolve(pixels: tf.Tensor) -> tf.Tensor:
        padded = tf.concat([tf.zeros((1, rows, left, channels)), pixels], axis=2)
        grouped = tf.reshape(padded, (1, rows, groups, stride * channels))
        product = tf.nn.conv2d(grouped, kernel, (down, 1), "SAME")
        return layer.activation(product + bias)

    return convolve
