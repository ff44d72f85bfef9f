"""`python -m livews`."""

import sys

from livews.cli import main

if __name__ == "__main__":
    sys.exit(main())
