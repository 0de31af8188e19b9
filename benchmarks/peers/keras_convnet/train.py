"""Train the convnet of the Keras examples on MNIST, once:

python -m benchmarks.peers.keras_convnet.train DIR

DIR/mnist holds the files; without them Keras downloads the same pictures.
"""

import sys
from pathlib import Path

import keras
from keras import layers

from training.data import mnist

TRAINED = Path(__file__).parents[2] / "cache" / "keras_convnet.keras"
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


def train(directory: Path) -> keras.Model:
    images, labels = mnist(directory, "train")
    keras.utils.set_random_seed(SEED)
    model = convnet()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        images[..., None] / 255,
        labels,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_split=VALIDATION,
        verbose=2,
    )
    return model


if __name__ == "__main__" and not TRAINED.exists():
    TRAINED.parent.mkdir(exist_ok=True)
    train(Path(sys.argv[1])).save(TRAINED)
