"""A LitServe server around the pickled pipeline."""

from __future__ import annotations

import litserve
from frames import PORT, answers, frame, load


class Api(litserve.LitAPI):
    """One model."""

    def setup(self, device):  # noqa: ARG002 - LitServe passes it
        """Load it."""
        self.model = load()

    def decode_request(self, request):
        """A frame of the rows."""
        return frame(request["instances"])

    def predict(self, table):
        """Their answers."""
        return answers(self.model, table)

    def encode_response(self, output):
        """The same under a name."""
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(port=PORT, host="127.0.0.1", num_api_servers=1, generate_client_file=False)
