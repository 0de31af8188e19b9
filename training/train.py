"""Train model.keras: python -m training.train --data DIR [--photos DIR]

Renders scenes from the sets in --data through the service's own preprocessing, trains
on them with any Keras backend, and writes the weights' running average. An interrupted
run goes on from its last epoch when started again.
"""

import argparse
import hashlib
import math
import os
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import cv2
import keras
import numpy as np
from keras import layers
from keras.optimizers.schedules import LearningRateSchedule

from preprocessing import INPUT_HEIGHT, INPUT_WIDTH
from training.calibrate import best_temperature, cool
from training.data import NO_DIGIT, mnist_validation, training_samples
from training.scenes import SHARES, render_set

HERE = Path(__file__).parent
ROOT = HERE.parent
RENDERING = ("data", "draw", "empty", "forms", "mishaps", "render", "scenes")
RENDERING_CODE = (
    ROOT / "preprocessing.py",
    *(HERE / f"{name}.py" for name in RENDERING),
)


class Round(NamedTuple):
    seed: int
    epochs: int
    learning_rate: float
    shares: dict[str, float]


SCENES = 320_000
# A second round on scenes never seen (warm restart, Loshchilov & Hutter 2017).
ROUNDS = (
    Round(1, 14, 1e-3, SHARES),
    Round(3, 10, 5e-4, SHARES | {"mnist": 0.45}),
)
# Of the last round's weights, the rest are those before it (WiSE-FT, Wortsman et al.
# 2022): better on scans than these, and on photos than the last alone.
LAST_SHARE = 0.7
# For the calibration, from digits that training never sees.
HELD_OUT_SCENES, HELD_OUT_SEED = 4_000, 2
BATCH = 128
WARM_UP = 500  # steps
WEIGHT_DECAY = 1e-3
DROPOUT = 0.3
# The saved weights are an average over about this many of the last steps.
AVERAGED_STEPS = 1_000
# Filters after each halving of the picture's size (the first layer quarters it), and
# the residual blocks behind it.
WIDTHS = (32, 64, 112, 144)
BLOCKS = (0, 1, 1, 1)
# CPUs that calculate in bfloat16, which trains twice as fast; on others it takes ten
# times as long. The weights stay float32.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
# Ink for each grey level.
INK = 1 - np.arange(256, dtype=np.float32) / 255


def convolution(filters: int, size: int = 3, stride: int = 1) -> layers.Layer:
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
    )


def residual(x: keras.KerasTensor) -> keras.KerasTensor:
    """Starts as the identity, so that it trains without batch normalisation.

    SkipInit (De & Smith 2020), with a zero kernel in place of their scalar.
    """
    y = convolution(x.shape[-1])(x)
    y = layers.Conv2D(x.shape[-1], 3, padding="same", kernel_initializer="zeros")(y)
    return layers.ReLU()(layers.Add()([x, y]))


def build_model() -> keras.Model:
    """float (batch, 140, 90, 3) in [0, 1] → (batch, 10) probabilities."""
    inputs = keras.Input((INPUT_HEIGHT, INPUT_WIDTH, 3))
    x = layers.Rescaling(-1, offset=1)(inputs)
    for place, (filters, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
        x = convolution(filters, 3, 2)(x) if place else convolution(filters, 6, 4)(x)
        for _ in range(blocks):
            x = residual(x)
    x = layers.Dropout(DROPOUT)(layers.Flatten()(x))
    return keras.Model(
        inputs, layers.Dense(10, activation="softmax", dtype="float32")(x)
    )


class Scenes(keras.utils.PyDataset):
    """Batches of rendered scenes, varied a little anew in every epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int):
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=8)
        self.images, self.labels, self.seed, self.epoch = images, labels, seed, 0
        # The wanted answer to a picture without a digit is not to be sure of anything.
        self.targets = np.vstack([np.eye(10), np.full((1, 10), 0.1)]).astype(np.float32)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.images) // BATCH

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(
            len(self.images)
        )

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        batch = np.empty((BATCH, INPUT_HEIGHT, INPUT_WIDTH, 3), np.float32)
        numbers = rng.normal(size=(BATCH, 8)).tolist()
        for place, (number, normals) in enumerate(zip(chosen, numbers, strict=True)):
            batch[place] = vary(self.images[number], *normals)[..., np.newaxis]
        return batch, self.targets[self.labels[chosen]]


def vary(
    image: np.ndarray,
    angle: float,
    shear: float,
    wide: float,
    tall: float,
    right: float,
    down: float,
    dark: float,
    gamma: float,
) -> np.ndarray:
    """uint8 (140, 90) → float32 in [0, 1], as if framed and lit otherwise.

    The numbers are standard normals.
    """
    a, b = math.exp(0.06 * wide), 0.06 * (shear - angle)
    c, d = 0.06 * angle, math.exp(0.06 * tall)
    x, y = INPUT_WIDTH / 2, INPUT_HEIGHT / 2
    affine = np.array(
        [
            [a, b, x - a * x - b * y + 2 * right],
            [c, d, y - c * x - d * y + 2 * down],
        ]
    )
    moved = cv2.warpAffine(image, affine, (INPUT_WIDTH, INPUT_HEIGHT), borderValue=255)
    ink = np.minimum(INK * math.exp(0.15 * dark), 1) ** math.exp(0.2 * gamma)
    return (1 - ink)[moved]


def digest(*parts: object) -> str:
    """A name for what depends on these settings, on this code and on these folders."""
    return hashlib.sha256(repr(list(map(state, parts))).encode()).hexdigest()[:12]


def state(part: object) -> object:
    if callable(part):
        return part.__name__
    if not isinstance(part, Path):
        return part
    if part.is_file():
        return part.read_text()
    files = sorted(path for path in part.rglob("*") if path.is_file())
    return [(str(p), p.stat().st_size, p.stat().st_mtime) for p in files]


def training_dtype() -> str:
    """A Keras dtype policy."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return "float32" if BFLOAT16_FLAGS.isdisjoint(flags) else "mixed_bfloat16"


def schedule(steps: int, peak: float) -> LearningRateSchedule:
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - WARM_UP, warmup_target=peak, warmup_steps=WARM_UP
    )


def scenes_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    images = np.load(folder / "images.npy", mmap_mode="r")
    return images, np.load(folder / "labels.npy")


def train(model: keras.Model, folder: Path, stage: Round) -> None:
    """Fit to the scenes in a folder, where the weights of every epoch go too."""
    trained = folder / f"{digest(Path(__file__))}.weights.h5"
    if trained.exists():
        model.load_weights(trained)
        return
    images, labels = scenes_of(folder)
    print(f"{len(images)} scenes, {np.mean(labels == NO_DIGIT):.1%} without a digit")
    scenes = Scenes(images, labels, stage.seed)
    optimizer = keras.optimizers.AdamW(
        schedule(stage.epochs * len(scenes), stage.learning_rate),
        weight_decay=WEIGHT_DECAY,
        global_clipnorm=1.0,
        use_ema=True,
        ema_momentum=1 - 1 / AVERAGED_STEPS,
    )
    model.compile(
        optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    backup = keras.callbacks.BackupAndRestore(folder / f"epoch-{trained.stem}")
    model.fit(scenes, epochs=stage.epochs, callbacks=[backup])
    model.save_weights(trained)


def in_float32(trained: keras.Model) -> keras.Model:
    keras.config.set_dtype_policy("float32")
    model = build_model()
    for variable, value in zip(model.variables, trained.variables, strict=True):
        variable.assign(value)
    return model


def calibrate(model: keras.Model, folder: Path) -> None:
    """Fit the confidence to the scenes in a folder; also prints how many are right."""
    images, labels = scenes_of(folder)
    inputs = np.repeat(images[..., np.newaxis] / np.float32(255), 3, axis=-1)
    answers = model.predict(inputs, verbose=0)  # made for thousands at once
    is_digit = labels != NO_DIGIT
    answers, labels = answers[is_digit], labels[is_digit]
    temperature = best_temperature(answers, labels)
    cool(model, temperature)
    right = np.mean(answers.argmax(axis=1) == labels)
    print(f"held-out scenes: {right:.2%} right; temperature {temperature:.2f}")


def rendered(cache: Path, *what) -> Path:
    """The folder with the scenes of render_set, rendered if they are not there yet."""
    folder = cache / digest(*what, *RENDERING_CODE)
    if not (folder / "labels.npy").exists():
        render_set(folder, *what)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--photos", type=Path, help="your pictures, DIR/0/ … DIR/9/")
    parser.add_argument("--cache", type=Path, default=HERE / "cache", help="scenes")
    parser.add_argument("--output", type=Path, default=ROOT / "model.keras")
    options = parser.parse_args()
    data, photos, cache = options.data, options.photos, options.cache
    keras.utils.set_random_seed(ROUNDS[0].seed)
    keras.config.set_dtype_policy(training_dtype())
    model = build_model()
    for stage in ROUNDS:
        of_stage = SCENES, stage.seed, stage.shares, training_samples, data, photos
        before = [np.array(weights) for weights in model.weights]
        train(model, rendered(cache, *of_stage), stage)
    for variable, earlier in zip(model.weights, before, strict=True):
        variable.assign(LAST_SHARE * variable + (1 - LAST_SHARE) * earlier)
    of_held_out = HELD_OUT_SCENES, HELD_OUT_SEED, SHARES, mnist_validation, data
    model = in_float32(model)
    calibrate(model, rendered(cache, *of_held_out))
    model.save(options.output, include_optimizer=False)


if __name__ == "__main__":
    main()
