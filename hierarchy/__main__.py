"""The command line of the installed package: `python -m hierarchy`, as `two-tier` and tf_model.py."""

import sys

from hierarchy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
