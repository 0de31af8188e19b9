"""A FastAPI app; uvicorn runs each worker's requests in threads, as both advise."""

from fastapi import FastAPI, UploadFile
from fastapi.responses import JSONResponse

from benchmarks.servers.work import Work

app = FastAPI()
WORK = Work()


@app.post("/predict")
def predict(file: UploadFile) -> JSONResponse:
    # A response in place of a dict spares its validation.
    return JSONResponse(WORK.answer(file.file.read()))
