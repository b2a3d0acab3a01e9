"""The catalogue as callers see it: models and prices of the directory, with the state of each endpoint now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.clock import Clock
from services.providers.endpoints import Directory
from services.providers.places import Places


class Listing:
    """Answers ListModels. The version changes with the directory, and whenever an endpoint begins or ends a rest."""

    def __init__(self, directory: Callable[[], Directory], places: Places, clock: Clock) -> None:
        self._directory = directory
        self._places = places
        self._clock = clock

    def models(self, known_version: str) -> pb.ListModelsResponse:
        """All models; none where the caller has the newest version."""
        directory, now = self._directory(), self._clock.monotonic()
        rests = {
            (model.id, endpoint.name): seconds
            for model in directory.listed
            if model.endpoints
            for endpoint in directory.endpoints_for(model.id)
            if (seconds := self._places.rests_for(endpoint, model.id, now))
        }
        version = directory.version
        if rests:
            ends = sorted((*place, int(now + seconds)) for place, seconds in rests.items())
            version += "-" + hashlib.sha256(repr(ends).encode()).hexdigest()[:16]
        if version == known_version:
            return pb.ListModelsResponse(version=version)
        listed = [_rested(model, rests) for model in directory.listed] if rests else directory.listed
        return pb.ListModelsResponse(models=listed, version=version)


def _rested(model: model_pb2.Model, rests: dict[tuple[str, str], float]) -> model_pb2.Model:
    if not any((model.id, endpoint.name) in rests for endpoint in model.endpoints):
        return model
    copy = model_pb2.Model()
    copy.CopyFrom(model)
    for endpoint in copy.endpoints:
        if seconds := rests.get((model.id, endpoint.name)):
            endpoint.state = model_pb2.Endpoint.STATE_RESTING
            endpoint.rests_for.FromTimedelta(timedelta(seconds=seconds))
    return copy
