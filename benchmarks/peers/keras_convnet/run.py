"""The convnet of the Keras examples behind the usual tutorial's resize."""

import keras
import numpy as np
from PIL import Image, ImageOps

from benchmarks.peers.keras_convnet.train import TRAINED
from benchmarks.peers.protocol import answer_each, versions_of

MODEL = keras.models.load_model(TRAINED, compile=False)


def read(path: str) -> int:
    image = Image.open(path).convert("L").resize((28, 28))
    if np.mean(image) > 127:
        # MNIST is light on dark.
        image = ImageOps.invert(image)
    pixels = np.asarray(image, np.float32)[None, ..., None] / 255
    return int(np.argmax(MODEL(pixels, training=False)))


if __name__ == "__main__":
    answer_each(read, versions_of("tensorflow", "keras", "pillow"))
