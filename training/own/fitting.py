"""Fine-tune our model, or train a small one, on pictures of one's own."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from recognition.decoding import decode, open_image
from recognition.framing import INPUT_HEIGHT, INPUT_WIDTH
from recognition.inference import Preparation, run
from recognition.model import CLASSES, keras
from recognition.samples import as_png
from training.data import Sample
from training.own.pictures import OwnPicture
from training.scenes import DRAWN, LAST_SHARES, MAX_PIXELS, render_set

layers = keras.layers

SCENES_SEED = 1
WEIGHT_DECAY = 1e-3
WARM_UP_SHARE = 0.1
# By how much an epoch varies each picture, as shares of a whole turn, of its sides and
# of its contrast.
TURN, ZOOM, SHIFT, CONTRAST = 0.015, 0.08, 0.02, 0.2

# Scenes for the fine-tuning made from one's own pictures, and at least so many of each.
# As many are rendered.
OWN_SCENES, SCENES_A_PICTURE = 6_000, 2
OWN_SHARES = {"photos": 1.0}
RENDERED_SHARES = {name: LAST_SHARES[name] for name in DRAWN}
TUNING_BATCH, TUNING_EPOCHS, TUNING_RATE = 128, 4, 3e-4

# Filters of each convolution of the small network, and units of its dense layer.
FILTERS, UNITS, DROPOUT = (16, 32, 64, 64), 128, 0.5
# An epoch of its training shows so many pictures at least, few of them repeatedly.
SHOWN = 3_000
NEW_BATCH, NEW_EPOCHS, NEW_RATE = 32, 20, 1e-3


def reduced_picture(data: bytes) -> bytes:
    """A PNG of the upright picture that is searched for ink. Raises InvalidImage."""
    return as_png(decode(data, MAX_PIXELS).pixels)


def fine_tune(model: keras.Model, pictures: list[OwnPicture]) -> None:
    """Fine-tune a model for prepared ink; the pictures are by reduced_picture.

    So that it forgets little, half of what it is trained on are rendered scenes, with
    its own answers before as targets (learning without forgetting, Li & Hoiem 2016).
    """
    own = [Sample(each.content, each.label, "photos") for each in pictures]
    count = max(OWN_SCENES, SCENES_A_PICTURE * len(own))
    images, labels = scenes(count, OWN_SHARES, own)
    rendered, _ = scenes(count, RENDERED_SHARES, [])
    training = with_variations(model, images.shape[1:])
    # Only training varies them.
    answers = training.predict(rendered, batch_size=TUNING_BATCH, verbose=0)
    targets = np.concatenate([one_hot(labels), answers])
    images = np.concatenate([images, rendered])
    fit(training, images, targets, TUNING_BATCH, TUNING_EPOCHS, TUNING_RATE)


def scenes(
    count: int, shares: dict[str, float], samples: list[Sample]
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the model, uint8 (count, 140, 90, 1), and their labels."""
    with TemporaryDirectory() as folder:
        render_set(Path(folder), count, SCENES_SEED, shares, None, list, samples)
        images = np.load(Path(folder, "images.npy"))[..., np.newaxis]
        return images, np.load(Path(folder, "labels.npy"))


def resized_picture(data: bytes, preparation: Preparation) -> np.ndarray:
    """The whole picture as the service resizes it, uint8. Raises InvalidImage."""
    opened = open_image(data, MAX_PIXELS, preparation.decoded_size)
    pixels = run(preparation.stages, opened).first.input.pixels
    return np.rint(255 * pixels).astype(np.uint8)


def train_small(model: keras.Model, pictures: list[OwnPicture]) -> None:
    """Train a model of build_small; the pictures are by resized_picture."""
    shown = np.arange(max(SHOWN, len(pictures))) % len(pictures)
    images = np.stack([each.content for each in pictures])[shown]
    targets = one_hot([each.label for each in pictures])[shown]
    training = with_variations(model, images.shape[1:])
    fit(training, images, targets, NEW_BATCH, NEW_EPOCHS, NEW_RATE)


def build_small() -> keras.Model:
    """float (batch, 140, 90, 3) in [0, 1] → (batch, 10) probabilities."""
    body = []
    for filters in FILTERS:
        body += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    body += [layers.Flatten(), layers.Dense(UNITS, activation="relu")]
    body += [layers.Dropout(DROPOUT), layers.Dense(CLASSES, activation="softmax")]
    inputs = keras.Input((INPUT_HEIGHT, INPUT_WIDTH, 3))
    return keras.Sequential([inputs, *body], name="own_digits")


def one_hot(labels: np.ndarray | list[int]) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[labels]


def with_variations(model: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    """The model behind layers that vary uint8 pictures (height, width, channels)."""
    inputs = keras.Input(shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    for layer in (
        layers.RandomRotation(TURN, "nearest"),
        layers.RandomZoom(ZOOM, ZOOM, "nearest"),
        layers.RandomTranslation(SHIFT, SHIFT, "nearest"),
        layers.RandomContrast(CONTRAST, (0, 1)),
    ):
        x = layer(x)
    if shape[-1] == 1:
        x = layers.Concatenate()([x] * 3)
    return keras.Model(inputs, model(x))


def fit(
    training: keras.Model,
    images: np.ndarray,
    targets: np.ndarray,
    batch: int,
    epochs: int,
    rate: float,
) -> None:
    """`images`: uint8 (n, 140, 90, 1 or 3); `targets`: probabilities (n, 10)."""
    steps = epochs * -(-len(images) // batch)
    warm_up = round(WARM_UP_SHARE * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0
    )
    training.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    training.fit(images, targets, batch_size=batch, epochs=epochs)
