"""Audio output: the queue (playback), what plays it (speaker, portaudio, external_player), WAV files (wav). Audio
input: the microphone, a file in its place (file_source), echo handling (echo,
echo_canceller). Voice activity detection and other pure functions are in `analysis`.

- Importing this package, or any module of it, imports no sounddevice: only `portaudio.load()` does.
- Audio is s16le mono everywhere; rates are in Hz, times are in seconds unless a name ends in `_ms`.
"""
