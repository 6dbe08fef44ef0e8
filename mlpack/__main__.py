"""``python -m mlpack``: the same as the command ``mlpack``."""

import sys

from mlpack.cli import main

if __name__ == "__main__":
    sys.exit(main())
