"""A FastAPI app; uvicorn runs each worker's requests in threads, as both advise."""

from fastapi import FastAPI, UploadFile
from fastapi.responses import JSONResponse

from benchmarks.servers.work import Model, answer, prepare

app = FastAPI()
MODEL = Model()


@app.post("/predict")
def predict(file: UploadFile) -> JSONResponse:
    data = file.file.read()
    prepared = prepare(data)
    probabilities = MODEL.classify(prepared[0].pixels[None])[0]
    # A response in place of a dict spares its validation.
    return JSONResponse(answer(data, prepared, probabilities))
