"""Sound out: what is queued (playback), what plays it (speaker, device, player), what keeps it (wav). Sound in: a
microphone, a file in its place (wavmic), who talks when (activity), and what keeps both apart (echo).

- Importing this package, or any module of it, imports no sounddevice: only `device.load()` does.
- Sound is s16le mono everywhere; rates are in Hz, times are in seconds unless a name ends in `_ms`.
"""
