"""One package per deployable service, plus the chassis they stand on."""

import os

# A setting of grpc's own, which it reads when it is imported: docs/decisions/0016-grpc-listens-in-its-own-thread.md
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")  # noqa: TID251
