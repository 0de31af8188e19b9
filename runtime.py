"""TensorFlow and LiteRT as the service runs them.

gunicorn's master imports this too, so that its workers share the code and start sooner.
That is safe only as long as it starts no thread and runs no operation: none of either
survives the fork. So the model is each worker's own.
"""

import os

# Training may run on another backend, the service does not.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A picture takes the CPU a millisecond; on a GPU each worker would claim all memory.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# NumPy and OpenCV would each start a thread for every core.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import keras
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

__all__ = ["Interpreter", "keras", "tf"]
