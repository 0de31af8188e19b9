"""A LitServe server: python -m benchmarks.servers.litserve.app PORT WORKERS

Batching (max_batch_size=8, batch_timeout=0.002) is off, as by default: it saves up to a
sixth of the CPU time of small pictures, but one worker takes what two could share, so
that large ones take twice as long.
"""

import sys

import litserve

from benchmarks.servers.work import Model, answer, prepare


class DigitsAPI(litserve.LitAPI):
    def setup(self, device):
        self.model = Model()

    def decode_request(self, request, context):
        context["data"] = request["file"].file.read()
        context["prepared"] = prepare(context["data"])
        return context["prepared"][0].pixels

    def predict(self, pixels):
        return self.model.classify(pixels[None])[0]

    def encode_response(self, probabilities, context):
        return answer(context["data"], context["prepared"], probabilities)


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(
        DigitsAPI(api_path="/predict"),
        accelerator="cpu",
        workers_per_device=workers,
        # Advised for more than 100 requests a second.
        fast_queue=True,
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False)
