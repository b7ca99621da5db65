"""Entry point: `python tf_model.py train | evaluate | predict | ...`; the commands are in hierarchy/cli/."""

import sys

from hierarchy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
