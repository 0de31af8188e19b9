"""A LitServe server: python -m benchmarks.servers.with_litserve PORT WORKERS"""

import sys

import litserve

from benchmarks.servers.work import Work


class DigitsAPI(litserve.LitAPI):
    def setup(self, device):
        self.work = Work()

    def predict(self, request):
        return self.work.answer(request["file"].file.read())


if __name__ == "__main__":
    port, workers = map(int, sys.argv[1:])
    server = litserve.LitServer(
        DigitsAPI(api_path="/predict"),
        accelerator="cpu",
        workers_per_device=workers,
        fast_queue=True,  # advised for more than 100 requests a second
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False)
