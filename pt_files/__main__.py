"""The command line on PyTorch: `python -m pt_files train ...`, with the options of tf_model.py."""

from hierarchy.cli.main import end, main
from pt_files.torch_backend import TORCH_BACKEND

if __name__ == "__main__":
    end(main(TORCH_BACKEND))
