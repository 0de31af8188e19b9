"""A LitServe server: python -m benchmarks.servers.litserve.app PORT WORKERS"""

import sys

import litserve
import numpy as np

from benchmarks.servers.work import Model, answer, prepare

# At 16 connections a sixth less CPU time than one by one; longer windows save little
# and delay a single client, and with none its workers poll without a pause.
MAX_BATCH_SIZE, BATCH_TIMEOUT_SECONDS = 8, 0.002


class DigitsAPI(litserve.LitAPI):
    def setup(self, device):
        self.model = Model()

    def decode_request(self, request, context):
        context["data"] = request["file"].file.read()
        context["prepared"] = prepare(context["data"])
        return context["prepared"][0].pixels

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, pixels):
        return self.model.classify(pixels)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, probabilities, context):
        return answer(context["data"], context["prepared"], probabilities)


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(
        DigitsAPI(
            max_batch_size=MAX_BATCH_SIZE,
            batch_timeout=BATCH_TIMEOUT_SECONDS,
            api_path="/predict",
        ),
        accelerator="cpu",
        workers_per_device=workers,
        # Advised for more than 100 requests a second.
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False)
