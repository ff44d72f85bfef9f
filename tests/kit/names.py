"""Names that tests share: paths of the service and of this repository, models, a key."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
KEY = "AIzaSyTOPSECRET_0123456789-abcdefghijkl"
"""Looks like a key of the service, and must appear nowhere."""

GEMINI = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
VERTEX = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"

NATIVE = "models/gemini-2.5-flash-native-audio-latest"
LIVE_31 = "models/gemini-3.1-flash-live-preview"
LIVE_38 = "models/gemini-3.8-live"
THINKING = "models/gemini-3.8-live-extended-thinking"
TRANSCRIBE = "models/gemini-3.5-transcribe-live"
TRANSLATE = "models/gemini-3.5-live-translate-preview"
RETIRED = "models/gemini-live-2.5-flash-preview"
ON_VERTEX = "publishers/google/models/gemini-live-2.5-flash"
TEST = "models/test"
