"""Picture input: a file (image_file), the screen (screen), a camera (camera).

- Importing this package, or any module of it, imports no Pillow and no mss and starts nothing.
- Nothing is captured before `start()` and nothing after `close()`.
- Only the newest picture is kept: a slow reader gets fewer pictures, never older ones, and memory does not grow.
- No two pictures of a source are yielded less than a second apart: the service takes one a second.
- No exception of Pillow, mss or ffmpeg leaves this package, and none of their text without escaping.
"""

from livews.media.camera import Camera
from livews.media.image_file import load_image
from livews.media.picture import ImageUnavailable, Picture
from livews.media.screen import Screen

__all__ = ["Camera", "ImageUnavailable", "Picture", "Screen", "load_image"]
