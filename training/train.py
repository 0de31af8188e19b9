"""Train model.keras: python -m training.train --data DIR [--photos DIR] [--start FILE]

Renders scenes from the sets in --data through the service's own preparation, trains a
teacher on them with any Keras backend, and distils it into the model that is saved.
An interrupted run continues from its last epoch when started again.
"""

import argparse
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recognition.quiet import native_messages_hidden

with native_messages_hidden():
    import keras
    from keras import layers, ops
    from keras.optimizers.schedules import LearningRateSchedule

from recognition.framing import INPUT_HEIGHT, INPUT_WIDTH, PREPARED_INK
from training.calibrate import apply_temperature, best_temperature
from training.data import NO_DIGIT, mnist_validation, training_samples
from training.glyphs import draw_bank
from training.scenes import LAST_SHARES, SHARES, render_set

HERE = Path(__file__).parent
ROOT = HERE.parent
RENDERING = ("augmentations", "compositions", "crops", "data", "draw", "empty")
RENDERING += ("forms", "glyphs", "layouts", "pages", "photos", "render", "scenes")
RENDERING += ("signs",)
PREPARATION = ("decoding", "illumination", "localization", "framing")
PREPARATION += ("detection", "numbers")
RENDERING_CODE = (
    *(ROOT / "recognition" / f"{name}.py" for name in PREPARATION),
    *(HERE / f"{name}.py" for name in RENDERING),
)


GLYPHS_SEED = 1
GLYPHS_CODE = [
    HERE / f"{name}.py" for name in ("glyphs", "signs", "forms", "draw", "data")
]


class Size(NamedTuple):
    """How large a model is.

    `widths`: filters after each halving of the picture's size (the first layer quarters
    it). `blocks`: residual blocks behind each.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...]


class Round(NamedTuple):
    seed: int
    epochs: int
    learning_rate: float


SCENES, SCENES_SEED = 640_000, 1
STUDENT = Size((32, 64, 112, 144), (0, 1, 1, 1))
STUDENT_ROUND = Round(3, 30, 1.5e-3)
# Four times the calculations of the student.
TEACHER = Size((48, 96, 192, 256), (1, 1, 2, 2))
TEACHER_ROUND = Round(1, 14, 1.5e-3)
# The last round fine-tunes the student, which is also its teacher (learning without
# forgetting, Li & Hoiem 2016), on more of what is not one digit.
LAST_SCENES, LAST_SEED, LAST_ROUND = 120_000, 5, Round(5, 5, 4e-4)
# How much its weights count against those before it, so that what they knew is kept
# (WiSE-FT, Wortsman et al. 2022). Chosen on photos_dev, optdigits and the pairs.
LAST_WEIGHT = 0.9
# Fine-tuning on one's own pictures.
TUNING_SCENES, TUNING_ROUND = 64_000, Round(4, 4, 3e-4)
# The share of the student's loss that is from the teacher; the rest is from the labels.
# The teacher's answers are softened by this temperature (Hinton et al. 2015), and left
# out where they are wrong or there is not one digit.
DISTILLATION_SHARE, DISTILLATION_TEMPERATURE = 0.5, 2.0
# For the calibration, from digits that training never sees.
HELD_OUT_SCENES, HELD_OUT_SEED = 4_000, 2
BATCH = 256
WARM_UP = 500  # steps
WEIGHT_DECAY = 1e-3
DROPOUT = 0.3
# The saved weights are an average over about this many of the last steps.
AVERAGED_STEPS = 1_000
# CPUs with bfloat16 arithmetic, which trains twice as fast; on others it takes ten
# times as long. The weights stay float32.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
MODEL_NAME = "digits"
# Standard normals by which an epoch varies a scene.
CHANGES = 8


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


def build_model(size: Size = STUDENT, name: str | None = None) -> keras.Model:
    """float (batch, 140, 90, 3) in [0, 1] → (batch, 10) probabilities."""
    inputs = keras.Input((INPUT_HEIGHT, INPUT_WIDTH, 3), name=PREPARED_INK)
    x = layers.Rescaling(-1, offset=1)(inputs)
    for place, (filters, blocks) in enumerate(zip(*size, strict=True)):
        x = convolution(filters, 3, 2)(x) if place else convolution(filters, 6, 4)(x)
        for _ in range(blocks):
            x = residual(x)
    x = layers.Dropout(DROPOUT)(layers.Flatten()(x))
    outputs = layers.Dense(10, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


class Vary(layers.Layer):
    """Varies the framing and the lighting of scenes.

    uint8 (batch, 140, 90) and standard normals (batch, 8) → float32
    (batch, 140, 90, 3) in [0, 1].
    """

    def __init__(self):
        super().__init__(dtype="float32")

    def call(self, images, changes):
        angle, shear, wide, tall, right, down, dark, gamma = ops.unstack(
            changes[:, None, None, :], axis=-1
        )
        a, b = ops.exp(0.06 * wide), 0.06 * (shear - angle)
        c, d = 0.06 * angle, ops.exp(0.06 * tall)
        x, y = INPUT_WIDTH / 2, INPUT_HEIGHT / 2
        moves = [
            a,
            b,
            x - a * x - b * y + 2 * right,
            c,
            d,
            y - c * x - d * y + 2 * down,
        ]
        affine = ops.concatenate(
            [*moves, ops.zeros_like(a), ops.zeros_like(a)], axis=-1
        )
        ink = 1 - ops.cast(images, "float32")[..., None] / 255
        moved = ops.image.affine_transform(ink, affine[:, 0])
        dark, gamma = ops.exp(0.15 * dark), ops.exp(0.2 * gamma)
        ink = ops.clip(moved * dark[..., None], 0, 1) ** gamma[..., None]
        return ops.repeat(1 - ink, 3, axis=-1)


class Scenes(keras.utils.PyDataset):
    """Batches of rendered scenes, in another order in every epoch, for Vary."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int):
        super().__init__(workers=4, use_multiprocessing=False, max_queue_size=16)
        self.images, self.labels, self.seed, self.epoch = images, labels, seed, 0
        # The target of a picture without a digit is the uniform distribution.
        self.targets = np.vstack([np.eye(10), np.full((1, 10), 0.1)]).astype(np.float32)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self.images) // BATCH

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(
            len(self.images)
        )

    def __getitem__(self, index: int) -> tuple[tuple, np.ndarray]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        changes = rng.standard_normal((BATCH, CHANGES), np.float32)
        return (self.images[chosen], changes), self.targets[self.labels[chosen]]


def training_model(model: keras.Model, teacher: keras.Model | None) -> keras.Model:
    """What Scenes yields → the model's answers, followed by the teacher's if any."""
    images = keras.Input((INPUT_HEIGHT, INPUT_WIDTH), dtype="uint8")
    changes = keras.Input((CHANGES,))
    seen = Vary()(images, changes)
    answers = model(seen)
    if teacher is not None:
        # Its dropout stays active, so that its answers vary a little.
        teacher.trainable = False
        answers = layers.Concatenate(dtype="float32")([answers, teacher(seen)])
    return keras.Model((images, changes), answers)


def softened(answers):
    return ops.softmax(ops.log(answers + 1e-7) / DISTILLATION_TEMPERATURE)


def distillation_loss(targets, answers):
    """The loss of a student, whose answers the teacher's follow."""
    own, teachers = answers[:, :10], answers[:, 10:]
    from_teacher = keras.losses.categorical_crossentropy(
        softened(teachers), softened(own)
    )
    from_labels = keras.losses.categorical_crossentropy(targets, own)
    # Softening has divided the gradients by the temperature twice.
    from_teacher *= DISTILLATION_TEMPERATURE**2
    answered = ops.one_hot(ops.argmax(teachers, axis=-1), 10)
    is_right = ops.sum(targets * answered, axis=-1) > 0.5
    share = DISTILLATION_SHARE * ops.cast(is_right, from_labels.dtype)
    return share * from_teacher + (1 - share) * from_labels


def accuracy(targets, answers):
    return keras.metrics.categorical_accuracy(targets, answers[:, :10])


def digest(*parts: object) -> str:
    """A name for what depends on these settings, on this code and on these folders."""
    return hashlib.sha256(repr(list(map(state, parts))).encode()).hexdigest()[:12]


def state(part: object) -> object:
    if callable(part):
        return part.__name__
    if not isinstance(part, Path):
        return part
    if part.is_file():
        return part.read_bytes()
    files = sorted(path for path in part.rglob("*") if path.is_file())
    return [(str(p), p.stat().st_size, p.stat().st_mtime) for p in files]


def training_dtype() -> str:
    """A Keras dtype policy."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    devices = keras.distribution.list_devices()
    on_cpu = all(device.startswith("cpu") for device in devices)
    is_slow = on_cpu and BFLOAT16_FLAGS.isdisjoint(flags)
    return "float32" if is_slow else "mixed_bfloat16"


def schedule(steps: int, peak: float) -> LearningRateSchedule:
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - WARM_UP, warmup_target=peak, warmup_steps=WARM_UP
    )


def scenes_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    images = np.load(folder / "images.npy", mmap_mode="r")
    return images, np.load(folder / "labels.npy")


def train(
    model: keras.Model,
    folder: Path,
    stage: Round,
    teacher: keras.Model | None = None,
    start: Path | None = None,
) -> None:
    """Fit to the scenes in a folder, where the weights of every epoch go too.

    `start`: where the model's weights are from, if it was trained before.
    """
    trained = folder / f"{digest(Path(__file__), *stage, start)}.weights.h5"
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
    training = training_model(model, teacher)
    training.compile(
        optimizer,
        "categorical_crossentropy" if teacher is None else distillation_loss,
        metrics=[accuracy],
        steps_per_execution=10,  # fewer waits for the device
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    backup = keras.callbacks.BackupAndRestore(folder / f"epoch-{trained.stem}")
    training.fit(scenes, epochs=stage.epochs, callbacks=[backup])
    model.save_weights(trained)


def student_like(trained: keras.Model, name: str | None = None) -> keras.Model:
    """A student with the weights of a model whose layers may have other names."""
    model = build_model(name=name)
    for variable, value in zip(model.variables, trained.variables, strict=True):
        variable.assign(value)
    return model


def in_float32(trained: keras.Model) -> keras.Model:
    keras.config.set_dtype_policy("float32")
    return student_like(trained, MODEL_NAME)


def average(tuned: keras.Model, before: keras.Model) -> None:
    """Move the tuned weights a little back to those before."""
    for variable, earlier in zip(tuned.variables, before.variables, strict=True):
        variable.assign(LAST_WEIGHT * variable + (1 - LAST_WEIGHT) * earlier)


def calibrate(model: keras.Model, folder: Path) -> None:
    """Calibrate on the scenes in a folder, and print the accuracy on them."""
    images, labels = scenes_of(folder)
    inputs = np.repeat(images[..., np.newaxis] / np.float32(255), 3, axis=-1)
    answers = model.predict(inputs, verbose=0)  # efficient for thousands of pictures
    is_digit = labels != NO_DIGIT
    answers, labels = answers[is_digit], labels[is_digit]
    temperature = best_temperature(answers, labels)
    apply_temperature(model, temperature)
    right = np.mean(answers.argmax(axis=1) == labels)
    print(f"held-out scenes: {right:.2%} right; temperature {temperature:.2f}")


def glyph_bank(data: Path, cache: Path) -> Path:
    """The file of the glyphs that pages are composed of, drawn if it is not there."""
    bank = cache / f"glyphs-{digest(GLYPHS_SEED, data, *GLYPHS_CODE)}.npz"
    if not bank.exists():
        draw_bank(data, "train", GLYPHS_SEED, bank)
    return bank


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
    parser.add_argument(
        "--start", type=Path, help="a trained model.keras to go on from"
    )
    parser.add_argument("--cache", type=Path, default=HERE / "cache", help="scenes")
    parser.add_argument("--output", type=Path, default=ROOT / "model.keras")
    options = parser.parse_args()
    if options.start and not options.start.is_file():
        parser.error(f"{options.start} is no file")
    data, photos, cache = options.data, options.photos, options.cache
    keras.utils.set_random_seed(TEACHER_ROUND.seed)
    keras.config.set_dtype_policy(training_dtype())
    if options.start:
        model = student_like(keras.models.load_model(options.start, compile=False))
    else:
        of_training = SCENES, SCENES_SEED, SHARES, None, training_samples, data, photos
        scenes = rendered(cache, *of_training)
        teacher = build_model(TEACHER)
        train(teacher, scenes, TEACHER_ROUND)
        model = build_model()
        train(model, scenes, STUDENT_ROUND, teacher)
    count, stage = LAST_SCENES, LAST_ROUND
    if options.start and photos:
        count, stage = TUNING_SCENES, TUNING_ROUND
    bank = glyph_bank(data, cache)
    of_last = count, LAST_SEED, LAST_SHARES, bank, training_samples, data, photos
    before = student_like(model)
    train(model, rendered(cache, *of_last), stage, before, options.start)
    average(model, before)
    of_held_out = HELD_OUT_SCENES, HELD_OUT_SEED, SHARES, None, mnist_validation, data
    model = in_float32(model)
    calibrate(model, rendered(cache, *of_held_out))
    model.save(options.output, include_optimizer=False)


if __name__ == "__main__":
    main()
