"""Entry point: `python tf_model.py train | evaluate | predict | ...`; the commands are in hierarchy/cli/."""

import sys

try:
    from hierarchy.cli.main import end, main
except KeyboardInterrupt:  # Ctrl-C before there is a command
    sys.exit(130)

if __name__ == "__main__":
    end(main())
