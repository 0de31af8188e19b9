"""What is answered as JSON: predictions, and errors.

Of an error, `error` is a sentence, `code` for programs, and `hint` says what would be
right.
"""

from base64 import b64encode
from random import choice

import numpy as np
from flask import Response, current_app, request
from werkzeug.exceptions import (
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
)

import settings
from recognition import decoding
from recognition.batching import Busy
from recognition.decoding import InvalidImage
from recognition.inference import Recognition
from recognition.numbers import Digit, ranking
from uploads import StorageFull

# Random, so that refused clients do not all return together.
RETRY_AFTER_SECONDS = range(2, 11)


def prediction(
    recognition: Recognition, image_url: str | None, shows_input: bool = False
) -> dict:
    answer = {
        "classification_result": ranked(recognition.probabilities),
        "image_url": image_url,
        "box": recognition.box and recognition.box._asdict(),
        "digits": [digit_entry(each, shows_input) for each in recognition.digits],
        "text": recognition.text,
    }
    if recognition.is_truncated:
        answer["truncated"] = True
    if shows_input:
        data = b64encode(recognition.input_png()).decode()
        answer["input"] = f"data:image/png;base64,{data}"
    return answer


def digit_entry(digit: Digit, has_ranking: bool) -> dict:
    box = digit.box and digit.box._asdict()
    entry = {"class": str(digit.label), "prob": digit.percent, "box": box}
    return entry | ({"ranking": ranked(digit.probabilities)} if has_ranking else {})


def ranked(probabilities: np.ndarray) -> list[dict]:
    return [{"class": str(digit), "prob": p} for digit, p in ranking(probabilities)]


def described(error: str, code: str, hint: str | None = None) -> dict[str, str]:
    return {"error": error, "code": code} | ({"hint": hint} if hint else {})


def http_error(error: HTTPException) -> Response:
    code = getattr(error, "reason", error.name.lower().replace(" ", "_"))
    hint = getattr(error, "hint", None)
    if isinstance(error, NotFound):
        hint = f"{request.root_path}/docs describes what there is."
    elif isinstance(error, MethodNotAllowed):
        hint = f"It takes {' or '.join(sorted({*error.valid_methods} - {'OPTIONS'}))}."
    # Its headers, such as Allow, stay.
    response = error.get_response()
    response.data = (
        current_app.json.dumps(described(error.description, code, hint)) + "\n"
    )
    response.content_type = "application/json"
    return response


def too_many_bytes(_error: RequestEntityTooLarge):
    return invalid_image(decoding.too_many_bytes(settings.MAX_UPLOAD_BYTES))


def invalid_image(error: InvalidImage):
    status = 413 if isinstance(error, decoding.TooLarge) else 400
    # Its sentence is written for the client.
    return described(str(error), error.code, error.hint), status


def busy(_error: Busy):
    message = "The service is too busy; try again in a few seconds."
    return described(message, "busy"), 503, {"Retry-After": choice(RETRY_AFTER_SECONDS)}


def storage_full(error: StorageFull):
    current_app.logger.error("An upload cannot be stored: %s", error.__cause__)
    hint = "With save=false the picture is read and not stored."
    return described("There is no room to save the picture.", "storage_full", hint), 507


ERROR_HANDLERS = {
    HTTPException: http_error,
    RequestEntityTooLarge: too_many_bytes,
    InvalidImage: invalid_image,
    Busy: busy,
    StorageFull: storage_full,
}
