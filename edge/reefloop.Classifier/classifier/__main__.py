"""python -m classifier --work FOLDER --bucket BUCKET [...]; --help tells the rest."""

import logging
import signal
import sys
import threading
from collections.abc import Sequence

from classifier.options import parse
from classifier.pipeline import Pipeline
from classifier.uplink import S3Uplink


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    # The nucleus ends a component with SIGTERM and never runs its shutdown script.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: stop.set())
    pipeline = Pipeline(options, S3Uplink(options.bucket), stop)
    if options.once:
        pipeline.once()
    else:
        pipeline.run()


if __name__ == "__main__":
    main()
