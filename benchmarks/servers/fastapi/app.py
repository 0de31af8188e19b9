"""A FastAPI app; uvicorn runs each worker's requests in threads, as both advise."""

from fastapi import FastAPI, UploadFile
from fastapi.responses import JSONResponse

from benchmarks.servers.work import Digits

app = FastAPI()
DIGITS = Digits()


@app.post("/predict")
def predict(file: UploadFile) -> JSONResponse:
    # A response in place of a dict spares the walk that makes it fit for JSON.
    return JSONResponse(DIGITS.answer(file.file.read()))
