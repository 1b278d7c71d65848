import sys
from pathlib import Path

# lambda/ is an import root, zipped as it is; `lambda` itself is no name that Python could import.
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "lambda"))

from console.cli import main

if __name__ == "__main__":
    sys.exit(main())
