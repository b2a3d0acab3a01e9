"""What a wire format cannot carry of a conversation: collected on the way, and reported with the answer."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Target


class Lost:
    """Collects degradations. Paths are those of the contract, for example `conversation.messages[0].name`."""

    def __init__(self) -> None:
        self.degradations: list[chat_pb2.Degradation] = []

    def feature(self, path: str) -> None:
        """A part or a setting was left out."""
        self._add(chat_pb2.Degradation.KIND_FEATURE_DROPPED, path)

    def content(self, path: str, part: chat_pb2.Part) -> None:
        """A part of a message was left out."""
        self.feature(f"{path}.{part.WhichOneof('content')}")

    def signature(self, path: str) -> None:
        """A proof was left out."""
        self._add(chat_pb2.Degradation.KIND_SIGNATURE_DROPPED, path)

    def proof(self, part: chat_pb2.Part, target: Target, path: str) -> str:
        """The part's proof, which goes back to the model that made it alone; empty: there is none for this one."""
        if not part.HasField("signature"):
            return ""
        if part.signature.origin_model == target.model:
            return part.signature.value
        self.signature(f"{path}.signature")
        return ""

    def settings(self, sampling: chat_pb2.Sampling, *names: str) -> None:
        """Settings of these names, where they are set."""
        for field, _ in sampling.ListFields():
            if field.name in names:
                self.feature(f"conversation.sampling.{field.name}")

    def _add(self, kind: chat_pb2.Degradation.Kind.ValueType, path: str) -> None:
        self.degradations.append(chat_pb2.Degradation(kind=kind, subject=path))
