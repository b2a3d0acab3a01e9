"""What becomes of a call whose price nobody knows: refused, estimated and marked, or let through. It is never free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from services.chassis.errors import Unpriced
from services.providers.endpoints import Directory, Endpoint
from services.providers.prices import Price

UnpricedPolicy = Literal["refuse", "estimate", "allow"]


class Pricing:
    """The operator's choice, for every call."""

    def __init__(self, policy: UnpricedPolicy) -> None:
        self._policy = policy

    def endpoints(self, directory: Directory, model: str) -> Sequence[Endpoint]:
        """Where the model may be asked. Raises NoEndpoint, and Unpriced where it may not be for want of a price."""
        serving = directory.endpoints_for(model)
        if self._policy != "refuse":
            return serving
        priced = [endpoint for endpoint in serving if directory.price(model, endpoint) is not None]
        if not priced:
            raise Unpriced(model=model)
        return priced

    def price(self, directory: Directory, model: str, endpoint: Endpoint) -> Price | None:
        """What a call there costs; None: nobody knows."""
        price = directory.price(model, endpoint)
        return directory.guess(model) if price is None and self._policy == "estimate" else price
