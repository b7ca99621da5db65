"""The command line of the installed package: `python -m hierarchy`, as `two-tier` and tf_model.py."""

import sys

try:
    from hierarchy.cli.main import run
except KeyboardInterrupt:  # Ctrl-C before there is a command
    sys.exit(130)

if __name__ == "__main__":
    run()
