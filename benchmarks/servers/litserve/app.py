"""A LitServe server: python -m benchmarks.servers.litserve.app PORT WORKERS"""

import sys

import litserve

from benchmarks.servers.work import Digits


class DigitsAPI(litserve.LitAPI):
    def setup(self, device):
        self.digits = Digits()

    def decode_request(self, request):
        return request["file"].file.read()

    def predict(self, data):
        return self.digits.answer(data)

    def encode_response(self, output):
        return output


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
