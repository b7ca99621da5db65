"""The door on PyTorch: `python -m pt_files train | predict | evaluate ...`, with the flags of tf_model.py."""

import sys

import tf_model
from pt_files.framework import PYTORCH

if __name__ == "__main__":
    sys.exit(tf_model.main(PYTORCH))
