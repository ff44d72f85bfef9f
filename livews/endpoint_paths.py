"""The paths of the Live API's endpoints, and the surface and API version in a path.

- What a path does not say is "", never a guess.
- Any path or URL may be parsed; its query is ignored.
"""

import re
from typing import Final, Literal

GEMINI: Final = "/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}"
VERTEX: Final = "/ws/google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"
# Firebase has both services under names of its own, so what is before the version does not matter. A version is quoted
# in the reasons of closes, hence the limit of its length and letters.
_VERSION = re.compile(r"\.(v[0-9]\w{0,15})\.(?:GenerativeService|LlmBidiService)\b", re.ASCII)


def parse_endpoint_path(path: str) -> tuple[Literal["gemini", "vertex", ""], str]:
    """Surface and API version of a path or URL, as in ("gemini", "v1alpha"); "" for what it does not say.

    ("", "") is no endpoint of the Live API, or one of a gateway with paths of its own. Firebase has one method for models of
    both surfaces: there the model's name says which.
    """
    path = path.partition("?")[0]
    version = _VERSION.search(path)
    if "LlmBidiService" in path:
        surface: Literal["gemini", "vertex", ""] = "vertex"
    else:
        surface = "gemini" if "BidiGenerateContent" in path and "google.firebase." not in path else ""
    return surface, version[1] if version else ""
