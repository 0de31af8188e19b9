"""A model.keras that somebody else has trained is served, or refused in a sentence."""

from io import BytesIO

import keras
import numpy as np
import pytest
from keras import layers
from pictures import RESOURCES, as_bytes
from PIL import Image, ImageOps

from recognition.inference import Recogniser
from recognition.model import UnfitModel, load_model

MAX_PIXELS = 10**7
COLOUR, GREY = (140, 90, 3), (140, 90, 1)
# 0.5 percent.
TOLERANCE = 0.005
FILES = sorted((RESOURCES / "photos_mit").glob("*/*.jpg"))[::8]
PHOTOS = [path.read_bytes() for path in FILES]

# Keras's own, while it writes the weights.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore:You are saving a model that has not yet been built:UserWarning",
)


def network(shape=COLOUR, first=(), normalised=False, classes=10):
    """The tutorial's, smaller; with random weights, large enough for firm answers."""
    body = [*first, layers.Conv2D(8, 5, strides=3, activation="relu")]
    body += [layers.BatchNormalization()] if normalised else []
    body += [layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input(shape), *body, digit(classes)])


def digit(classes=10, **options) -> layers.Layer:
    large = keras.initializers.RandomNormal(stddev=0.2, seed=1)
    return layers.Dense(
        classes, activation="softmax", kernel_initializer=large, **options
    )


def functional(wrap=lambda outputs: outputs):
    inputs = keras.Input(COLOUR, name="picture")
    x = layers.Conv2D(8, 3, strides=4, activation="relu")(inputs)
    return keras.Model(inputs, wrap(digit(name="digit")(layers.Flatten()(x))))


def nested():
    backbone = keras.Sequential(
        [keras.Input(COLOUR), layers.DepthwiseConv2D(3, strides=2), layers.ReLU()]
    )
    first = [layers.Rescaling(2, offset=-1), backbone]
    return network(first=first)


def called():
    """Of a shape that it takes from its first pictures."""
    model = keras.Sequential([layers.Flatten(), digit()])
    model(np.ones((1, *COLOUR), np.float32))
    return model


def hashed():
    """Turns each number into text, which LiteRT cannot do."""
    steps = [layers.Hashing(4), layers.Rescaling(1 / 3), layers.Flatten()]
    return keras.Sequential([keras.Input(COLOUR), *steps, digit()])


def recurrent():
    """Reads the rows of the picture one after the other."""
    rows = layers.Reshape((28, 28))
    return keras.Sequential([keras.Input((28, 28, 1)), rows, layers.LSTM(8), digit()])


def two_inputs():
    inputs = [keras.Input(COLOUR), keras.Input(COLOUR)]
    both = layers.Flatten()(layers.Concatenate()(inputs))
    return keras.Model(inputs, digit()(both))


def two_outputs():
    inputs = keras.Input(COLOUR)
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [digit()(flat), digit()(flat)])


def attention():
    """Sees more in light digits on dark, which 8-bit weights show."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((28, 28, 1))
    rows = layers.Reshape((28, 28))(inputs)
    rows = layers.LayerNormalization()(layers.MultiHeadAttention(2, 8)(rows, rows))
    return keras.Model(inputs, digit()(layers.Flatten()(rows)))


def for_batches_of(size):
    inputs = keras.Input(COLOUR, batch_size=size)
    small = layers.AveragePooling2D(10)(inputs)
    flat = keras.ops.reshape(small, (size, 14 * 9 * 3))
    return keras.Model(inputs, digit()(flat))


def not_numbers():
    model = network()
    model.set_weights([np.full_like(each, np.nan) for each in model.get_weights()])
    return model


def without_softmax():
    flat = layers.Flatten()
    return keras.Sequential([keras.Input(COLOUR), flat, layers.Dense(10)])


FIT = {
    "sequential": network,
    "functional": functional,
    "a dictionary of outputs": lambda: functional(lambda outputs: {"digit": outputs}),
    "rescaling and a backbone inside": nested,
    "batch normalisation": lambda: network(normalised=True),
    "augmentation": lambda: network(first=[layers.RandomRotation(0.1)]),
    "built by its first call": called,
    "grey": lambda: network(GREY),
    "MNIST's size": lambda: network((28, 28, 1)),
    "wide": lambda: network((90, 140, 3)),
    "recurrent": recurrent,
    "hashed": hashed,
    "for batches of one": lambda: for_batches_of(1),
}
UNFIT = {
    "eleven classes": (lambda: network(classes=11), r"output is \(11,\)"),
    "no softmax": (without_softmax, "do not sum to one"),
    "not numbers": (not_numbers, "outputs are not numbers"),
    "for batches of 32": (lambda: for_batches_of(32), "Keras cannot run the model"),
    "two inputs": (two_inputs, r"input is \(140, 90, 3\) and \(140, 90, 3\)"),
    "two outputs": (two_outputs, r"output is \(10,\) and \(10,\)"),
    "any size": (
        lambda: keras.Sequential(
            [keras.Input((None, None, 3)), layers.GlobalMaxPooling2D(), digit()]
        ),
        r"input is \(None, None, 3\)",
    ),
    "four channels": (lambda: network((140, 90, 4)), r"input is \(140, 90, 4\)"),
    "never built": (lambda: keras.Sequential([digit()]), "before it was built"),
    "our mark on another size": (
        lambda: keras.Sequential(
            [keras.Input((28, 28, 1), name="prepared_ink"), layers.Flatten(), digit()]
        ),
        r"Prepared ink is not \(28, 28, 1\)",
    ),
}


@pytest.fixture
def saved(tmp_path):
    def saved(model: keras.Model):
        keras.utils.set_random_seed(1)
        model.save(tmp_path / "model.keras")
        return tmp_path / "model.keras"

    return saved


def tutorials_input(data: bytes, shape: tuple) -> np.ndarray:
    height, width, channels = shape
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    image = image.convert("L" if channels == 1 else "RGB").resize((width, height))
    return np.asarray(image, np.float32).reshape(shape) / 255


def assert_answers_as_keras_does(recogniser, model, pictures) -> None:
    inputs = [tutorials_input(data, model.input_shape[1:]) for data in pictures]
    expected = model.predict(np.stack(inputs), batch_size=1, verbose=0)
    (expected,) = expected.values() if isinstance(expected, dict) else (expected,)
    for data, probabilities in zip(pictures, expected, strict=True):
        answer = recogniser.recognise(data, MAX_PIXELS)
        assert answer.probabilities == pytest.approx(probabilities, abs=TOLERANCE)
        assert answer.box is None


@pytest.mark.slow
@pytest.mark.parametrize("name", FIT)
def test_a_model_of_ones_own_answers_as_the_tutorial_did(name, saved):
    model = load_model(saved(FIT[name]()))
    recogniser = Recogniser(model)
    assert recogniser.is_working()
    assert_answers_as_keras_does(recogniser, model, PHOTOS)


@pytest.mark.slow
def test_every_packaging_is_opened_as_pillow_opens_it(saved):
    model = load_model(saved(network()))
    photo = Image.open(BytesIO(PHOTOS[0])).resize((1200, 1500))
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(np.arange(300 * 200, dtype=np.uint16).reshape(300, 200))
    pictures = [
        as_bytes(photo, "JPEG", quality=90),
        as_bytes(photo, "JPEG", exif=exif),
        as_bytes(photo.convert("CMYK"), "JPEG"),
        as_bytes(photo.convert("P")),
        as_bytes(Image.new("RGBA", (50, 70), (200, 100, 0, 90))),
        as_bytes(wide),
    ]
    assert_answers_as_keras_does(Recogniser(model), model, pictures)


def test_weights_keep_their_precision_where_8_bits_would_change_answers(saved):
    assert Recogniser(load_model(saved(network()))).forward_pass == "LiteRT"


@pytest.mark.slow
def test_light_digits_are_answered_as_keras_does_too(saved):
    model = load_model(saved(attention()))
    paths = sorted((RESOURCES / "mnist_sample").glob("*/*"))
    light = [path.read_bytes() for path in paths]
    assert_answers_as_keras_does(Recogniser(model), model, light)


def test_weights_of_8_bits_are_taken_where_answers_stay(saved):
    small = keras.initializers.RandomNormal(stddev=0.001, seed=1)
    last = layers.Dense(10, activation="softmax", kernel_initializer=small)
    flat = keras.Sequential([keras.Input(COLOUR), layers.Flatten(), last])
    chosen = Recogniser(load_model(saved(flat))).forward_pass
    assert chosen == "LiteRT with 8-bit weights"


def test_what_litert_cannot_run_is_run_by_tensorflow(saved):
    assert Recogniser(load_model(saved(hashed()))).forward_pass == "TensorFlow"


@pytest.mark.parametrize("name", UNFIT)
def test_a_model_that_does_not_fit_is_refused_in_a_sentence(name, saved):
    make, reason = UNFIT[name]
    with pytest.raises(UnfitModel, match=f"{reason}.*; a model must be a Keras 3 file"):
        Recogniser(load_model(saved(make())))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(lambda whole: None, "cannot be read .No such file", id="missing"),
        pytest.param(lambda whole: b"a model", "is not a Keras 3 file", id="text"),
        pytest.param(lambda whole: whole[:-5000], "or is cut off", id="cut off"),
        pytest.param(
            lambda whole: whole.replace(b"config.json", b"another.txt"),
            "cannot load",
            id="another archive",
        ),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_a_sentence(content, reason, saved):
    path = saved(called())
    data = content(path.read_bytes())
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UnfitModel, match=reason) as refusal:
        load_model(path)
    assert "\n" not in str(refusal.value)


def test_a_folder_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(UnfitModel, match="cannot be read"):
        load_model(tmp_path)


def test_a_model_of_another_program_is_refused_in_a_sentence(tmp_path, saved):
    @keras.saving.register_keras_serializable()
    class Mine(layers.Layer):
        def call(self, pixels):
            return pixels

    path = saved(network(first=[Mine()]))
    keras.saving.get_custom_objects().clear()
    with pytest.raises(UnfitModel, match="cannot load") as refusal:
        load_model(path)
    assert "\n" not in str(refusal.value)
