"""An MLServer runtime with an endpoint of its own: its protocol has no uploads."""

from typing import Annotated

from fastapi import File
from mlserver import MLModel
from mlserver.handlers import custom_handler

from benchmarks.servers.work import Digits


class DigitsModel(MLModel):
    async def load(self) -> bool:
        self.digits = Digits()
        return True

    # The bytes travel to a worker process, which an open file could not.
    @custom_handler(rest_path="/predict")
    async def predict_picture(self, file: Annotated[bytes, File()]) -> dict:
        return self.digits.answer(file)
