"""The network that finds digits, its targets and its loss.

For every 4 x 4 pixels of an ink map it answers whether a digit's centre is there, which
digit, and its box: CenterNet (Zhou et al. 2019), without its second training stage.
"""

import keras
import numpy as np
from keras import layers, ops

from recognition.detection import BASE_HEIGHT, BASE_WIDTH, STRIDE
from training.layouts import IGNORED

# Filters at strides 4, 8, 16 and 32.
WIDTHS = 48, 80, 112, 112
# A digit's centre is a bump of such a part of its box's sides, at least so many cells,
# and its class and box are learnt where the bump is so high.
BUMP, LEAST_BUMP, LEARNT = 0.14, 0.7, 0.45
# Weights of the class's and the box's loss beside the centre's.
CLASS_WEIGHT, BOX_WEIGHT = 1.0, 0.6
# The focal loss's exponents (Lin et al. 2017; CenterNet's).
FOCUS, NEAR_CENTRE = 2, 4
# The logit of a centre before training: hardly any cell has one.
RARE = -4.0
# Channels of the targets: the bump, whether the cell counts, the class, the box.
TARGETS = 7


def convolution(x, filters: int, stride: int = 1):
    return layers.Conv2D(
        filters,
        3,
        stride,
        padding="same",
        activation="relu",
        kernel_initializer="he_normal",
    )(x)


def residual(x):
    """Starts as the identity (SkipInit, De & Smith 2020): no normalisation, which
    takes a quarter of the time.
    """
    y = convolution(x, x.shape[-1])
    y = layers.Conv2D(x.shape[-1], 3, padding="same", kernel_initializer="zeros")(y)
    return layers.ReLU()(layers.Add()([x, y]))


def joined(coarse, fine, filters: int):
    """A coarse map enlarged twice and added to a finer one."""
    coarse = layers.UpSampling2D(2)(layers.Conv2D(filters, 1)(coarse))
    return layers.ReLU()(layers.Add()([coarse, layers.Conv2D(filters, 1)(fine)]))


def build_detector() -> keras.Model:
    """float (batch, height, width, 1), sides multiples of 32 → (batch, height / 4,
    width / 4, 15): the logits of a centre and of ten classes, and the box.
    """
    inputs = keras.Input((None, None, 1))
    quarter, eighth, sixteenth, coarsest = WIDTHS
    x = convolution(convolution(inputs, 16, 2), 32, 2)
    fine = convolution(x, quarter)
    middle = residual(convolution(fine, eighth, 2))
    coarse = residual(convolution(middle, sixteenth, 2))
    x = convolution(convolution(coarse, coarsest, 2), coarsest)
    x = joined(x, coarse, sixteenth)
    x = convolution(joined(x, middle, eighth), eighth)
    x = convolution(joined(x, fine, quarter), 64)
    bias = keras.initializers.Constant([RARE] + 14 * [0])
    return keras.Model(
        inputs, layers.Conv2D(15, 1, dtype="float32", bias_initializer=bias)(x)
    )


def targets_of(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boxes, (n, 5): left, top, right, bottom, label → float32 (height / 4, width / 4,
    TARGETS).
    """
    rows, columns = height // STRIDE, width // STRIDE
    targets = np.zeros((rows, columns, TARGETS), np.float32)
    targets[..., 1], targets[..., 2] = 1, -1
    for *sides, label in boxes:
        left, top, right, bottom = np.array(sides) / STRIDE
        if label == IGNORED:
            area = (
                slice(int(max(top, 0)), int(bottom) + 1),
                slice(int(max(left, 0)), int(right) + 1),
            )
            targets[(*area, 1)] = 0
    for *sides, label in boxes:
        if label != IGNORED:
            add_digit(targets, *(np.array(sides) / STRIDE), label)
    return targets


def add_digit(targets: np.ndarray, left, top, right, bottom, label) -> None:
    rows, columns, _ = targets.shape
    x, y = (left + right) / 2 - 0.5, (top + bottom) / 2 - 0.5
    wide, tall = max(right - left, 0.8), max(bottom - top, 0.8)
    reach_x, reach_y = max(LEAST_BUMP, BUMP * wide), max(LEAST_BUMP, BUMP * tall)
    column = int(np.clip(round(x), 0, columns - 1))
    row = int(np.clip(round(y), 0, rows - 1))
    x0, y0 = max(int(column - 3 * reach_x), 0), max(int(row - 3 * reach_y), 0)
    x1, y1 = int(column + 3 * reach_x) + 2, int(row + 3 * reach_y) + 2
    part = targets[y0:y1, x0:x1]
    away_x = np.arange(x0, x0 + part.shape[1]) - column
    away_y = np.arange(y0, y0 + part.shape[0]) - row
    bump = np.exp(-0.5 * ((away_x / reach_x) ** 2 + (away_y[:, None] / reach_y) ** 2))
    is_nearest = (bump > part[..., 0]) & (bump > LEARNT)
    np.maximum(part[..., 0], bump, out=part[..., 0])
    offsets_x = np.broadcast_to(x - column - away_x, bump.shape)
    offsets_y = np.broadcast_to((y - row - away_y)[:, None], bump.shape)
    size = np.log(wide * STRIDE / BASE_WIDTH), np.log(tall * STRIDE / BASE_HEIGHT)
    part[is_nearest, 2] = label
    part[is_nearest, 3] = offsets_x[is_nearest]
    part[is_nearest, 4] = offsets_y[is_nearest]
    part[is_nearest, 5:] = size
    targets[row, column, 1] = 1


def detection_loss(targets, outputs):
    """The focal loss of the centres, and of the digits the cross-entropy of the class
    and the distance of the box; one number, the mean over the batch's digits.
    """
    outputs = ops.cast(outputs, "float32")
    bump, counts, label = targets[..., 0], targets[..., 1], targets[..., 2]
    is_centre = ops.cast(bump > 0.999, "float32")
    logits = outputs[..., 0]
    found, missed = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    centres = is_centre * ops.exp(FOCUS * missed) * found
    others = (1 - is_centre) * counts * (1 - bump) ** NEAR_CENTRE
    others = others * ops.exp(FOCUS * found) * missed
    centre_loss = -ops.sum(centres + others) / (ops.sum(is_centre) + 1)
    weight = ops.cast(label >= 0, "float32") * bump
    total = ops.sum(weight) + 1
    labels = ops.cast(ops.maximum(label, 0), "int32")
    entropies = keras.losses.sparse_categorical_crossentropy(
        labels, outputs[..., 1:11], from_logits=True
    )
    distances = ops.abs(outputs[..., 11:] - targets[..., 3:])
    distances = ops.sum(distances * np.float32([0.25, 0.25, 1, 1]), axis=-1)
    class_loss = ops.sum(weight * entropies) / total
    box_loss = ops.sum(weight * distances) / total
    return centre_loss + CLASS_WEIGHT * class_loss + BOX_WEIGHT * box_loss
