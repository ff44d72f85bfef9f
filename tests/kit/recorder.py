"""A recorder that keeps what it is given."""

from typing import Any

from livews.core.conversation import Step


class MemoryRecorder:
    """Frames as (direction, opcode, bytes) and as steps, controls as (direction, kind, about), and closes by number."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, str, bytes]] = []
        self.steps: list[Step] = []
        self.controls: list[tuple[str, str, dict[str, Any]]] = []
        self.closed = 0

    def frame(self, t: float, direction: str, opcode: str, step: Step) -> None:
        self.frames.append((direction, opcode, step.raw))
        self.steps.append(step)

    def control(self, t: float, direction: str, kind: str, about: dict[str, Any]) -> None:
        self.controls.append((direction, kind, about))

    def close(self) -> None:
        self.closed += 1
