"""`python -m blurdepth`."""

import sys

from blurdepth.cli import main

if __name__ == "__main__":
    sys.exit(main())
