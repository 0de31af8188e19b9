"""The convnet of the Keras examples behind the usual tutorial's resize.

It is trained on MNIST at the first run, on the files in the folder that is the argument
or, without them, on what Keras downloads.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image, ImageOps

from benchmarks.environments import CACHE
from training.data import mnist

TRAINED = CACHE / "keras_convnet.keras"
# Those of the example, but for the seed.
EPOCHS, BATCH, VALIDATION = 15, 128, 0.1
SEED = 0


def convnet() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def trained(directory: Path) -> keras.Model:
    if TRAINED.exists():
        return keras.models.load_model(TRAINED, compile=False)
    images, labels = mnist(directory, "train")
    keras.utils.set_random_seed(SEED)
    model = convnet()
    model.compile("adam", "sparse_categorical_crossentropy")
    settings = {"batch_size": BATCH, "validation_split": VALIDATION, "verbose": 0}
    model.fit(images[..., None] / 255, labels, epochs=EPOCHS, **settings)
    TRAINED.parent.mkdir(exist_ok=True)
    model.save(TRAINED)
    return model


MODEL = trained(Path(sys.argv[2]))


def read(path: str) -> int:
    image = Image.open(path).convert("L").resize((28, 28))
    if np.mean(image) > 127:
        # MNIST is light on dark.
        image = ImageOps.invert(image)
    pixels = np.asarray(image, np.float32)[None, ..., None] / 255
    return int(np.argmax(MODEL(pixels, training=False)))
