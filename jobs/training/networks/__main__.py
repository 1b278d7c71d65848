"""Writes pretrained weights into the image that is being built: python -m jobs.training.networks NAME..."""

import os
import sys
from pathlib import Path

from jobs.errors import JobError
from jobs.training.networks.timm_networks import WEIGHTS, bake

if __name__ == "__main__":
    try:
        bake(sys.argv[1:], Path(os.environ[WEIGHTS]))
    except JobError as error:
        sys.exit(f"error: {error}")
