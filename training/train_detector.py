"""Train recognition/detector.tflite: python -m training.train_detector --data DIR

Draws glyphs and composes pages of them into --cache, trains the network of detector.py
and writes its averaged weights. An interrupted run continues from its last epoch.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import numpy as np
import tensorflow as tf

from training.detector import TARGETS, build_detector, detection_loss, targets_of
from training.pages import FULL, SHAPES, draw_pages
from training.train import (
    GLYPHS_CODE,
    HERE,
    ROOT,
    digest,
    glyph_bank,
    training_dtype,
)

PAGES, PAGES_SEED = 64_000, 11
SEED = 5
EPOCHS, BATCH = 3, 16
LEARNING_RATE, WARM_UP = 1.2e-3, 200  # the latter in steps
WEIGHT_DECAY, CLIPPED_NORM = 1e-4, 5.0
AHEAD = 8  # batches, made while others are trained on
# The saved weights are an average over about this many of the last steps.
AVERAGED_STEPS = 200
# How a page varies from epoch to epoch: moved by up to so many pixels; standard
# deviations of the logarithms of gain and gamma; noise, of full ink, and how often.
MOVED, GAIN, GAMMA, NOISE, NOISY_SHARE = 10, 0.18, 0.12, 0.08, 0.25

PAGES_CODE = [
    *GLYPHS_CODE,
    *(
        HERE / f"{name}.py"
        for name in ("layouts", "photos", "pages", "empty", "render")
    ),
    *(ROOT / "recognition" / f"{name}.py" for name in ("illumination", "detection")),
]


Pages = list[tuple[np.ndarray, list[np.ndarray]]]


def load_pages(folder: Path) -> Pages:
    """For each of SHAPES the pages, and the boxes of each of them."""
    pages = []
    for height, width in SHAPES:
        name = f"{height}x{width}.npy"
        inks = np.load(folder / name, mmap_mode="r")
        boxes = np.load(folder / f"boxes-{name}")
        ends = np.searchsorted(boxes[:, 0], np.arange(1, len(inks)))
        pages.append((inks, np.split(boxes[:, 1:], ends)))
    return pages


def steps_of(pages: Pages) -> int:
    return sum(len(inks) // BATCH for inks, _ in pages)


def batches(pages: Pages) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Without end: batches of pages of one shape each, and their targets."""
    rng = np.random.default_rng(SEED)
    while True:
        orders = [rng.permutation(len(inks)) for inks, _ in pages]
        chosen = [
            (shape, order[start : start + BATCH])
            for shape, order in enumerate(orders)
            for start in range(0, len(order) - BATCH + 1, BATCH)
        ]
        for number in rng.permutation(len(chosen)):
            shape, places = chosen[number]
            inks, boxes = pages[shape]
            seen = [varied(rng, inks[place], boxes[place]) for place in places]
            yield (
                np.stack([ink for ink, _ in seen])[..., None],
                np.stack([targets for _, targets in seen]),
            )


def varied(rng: np.random.Generator, page: np.ndarray, boxes: np.ndarray) -> tuple:
    """A page moved, lighter or darker, noisier: float32 ink, and its targets."""
    height, width = page.shape
    right, down = rng.integers(-MOVED, MOVED + 1, 2).tolist()
    moved = np.zeros((height, width), np.uint8)
    moved[max(down, 0) : height + down, max(right, 0) : width + right] = page[
        max(-down, 0) : height - down, max(-right, 0) : width - right
    ]
    gain, gamma = np.exp(rng.normal(0, (GAIN, GAMMA)))
    ink = (gain * (np.arange(256) / FULL) ** gamma).astype(np.float32)[moved]
    if rng.random() < NOISY_SHARE:
        grain = np.abs(rng.standard_normal(ink.shape, np.float32))
        ink += np.float32(rng.uniform(0, NOISE)) * grain
    boxes = boxes + np.float32([right, down, right, down, 0])
    boxes[:, :4] = np.clip(boxes[:, :4], 0, [width, height, width, height])
    kept = (boxes[:, 2] - boxes[:, 0] > 1) & (boxes[:, 3] - boxes[:, 1] > 2)
    return ink, targets_of(boxes[kept], height, width)


def schedule(steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - WARM_UP, warmup_target=LEARNING_RATE, warmup_steps=WARM_UP
    )


def train(model: keras.Model, folder: Path, log: Path) -> None:
    pages = load_pages(folder)
    steps = steps_of(pages)
    optimizer = keras.optimizers.AdamW(
        schedule(EPOCHS * steps),
        weight_decay=WEIGHT_DECAY,
        clipnorm=CLIPPED_NORM,
        use_ema=True,
        ema_momentum=1 - 1 / AVERAGED_STEPS,
    )
    model.compile(optimizer, detection_loss, jit_compile=False)
    backup = keras.callbacks.BackupAndRestore(log, save_freq="epoch")
    # Pages differ in shape from batch to batch.
    signature = (
        tf.TensorSpec((BATCH, None, None, 1), tf.float32),
        tf.TensorSpec((BATCH, None, None, TARGETS), tf.float32),
    )
    stream = tf.data.Dataset.from_generator(
        lambda: batches(pages), output_signature=signature
    ).prefetch(AHEAD)
    model.fit(
        stream, steps_per_epoch=steps, epochs=EPOCHS, callbacks=[backup], shuffle=False
    )


def in_float32(trained: keras.Model) -> keras.Model:
    keras.config.set_dtype_policy("float32")
    model = build_detector()
    model.set_weights(trained.get_weights())
    return model


def save(model: keras.Model, file: Path) -> None:
    """As LiteRT for any size of input, the weights in 8 bits: a fifth of the time."""
    function = tf.function(lambda ink: model(ink, training=False))
    spec = tf.TensorSpec((1, None, None, 1), tf.float32)
    weights = tf.Module()
    weights.values = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function(spec)], weights
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    file.write_bytes(converter.convert())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--cache", type=Path, default=HERE / "cache", help="pages")
    output = ROOT / "recognition" / "detector.tflite"
    parser.add_argument("--output", type=Path, default=output)
    options = parser.parse_args()
    keras.utils.set_random_seed(SEED)
    keras.config.set_dtype_policy(training_dtype())
    bank = glyph_bank(options.data, options.cache)
    folder = options.cache / f"pages-{digest(PAGES, PAGES_SEED, bank, *PAGES_CODE)}"
    if not (folder / "done").exists():
        draw_pages(bank, options.data, PAGES, PAGES_SEED, folder)
        (folder / "done").touch()
    model = build_detector()
    model.summary()
    train(
        model, folder, folder / f"epoch-{digest(Path(__file__), HERE / 'detector.py')}"
    )
    save(in_float32(model), options.output)


if __name__ == "__main__":
    main()
