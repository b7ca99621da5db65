"""The command line on PyTorch: `python -m pt_files train ...`, with the options of tf_model.py."""

import sys

from hierarchy.cli.main import main
from pt_files.torch_backend import TORCH_BACKEND

if __name__ == "__main__":
    sys.exit(main(TORCH_BACKEND))
