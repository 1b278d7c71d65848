"""The component on a device: with its nucleus, its cloud and the clock of its operating system."""

import logging
import os
from pathlib import Path
from typing import Final

from classifier.clock import SystemClock
from classifier.pipeline.parts import Surroundings
from classifier.pipeline.stage import Step
from classifier.pipeline.steps import Store
from classifier.pipeline.supervisor import Supervisor
from classifier.uplink.nucleus import Nucleus
from classifier.uplink.sender import Sender
from classifier.uplink.uploader import Bucket, Uploader

log = logging.getLogger(__name__)

SOCKET: Final = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"


def supervisor(thing: str, work: Path, model: Path) -> Supervisor:
    """The component of this thing. Where no nucleus started the process, messages stay in the spool."""
    clock = SystemClock()
    nucleus = Nucleus() if SOCKET in os.environ else None
    if nucleus is None:
        log.warning("%s is not set: there is no nucleus, and messages are not sent", SOCKET)

    def send(store: Store) -> Step:
        assert nucleus is not None  # noqa: S101  nobody is asked to send without
        return Sender(nucleus, store.spool, store.budget, clock, thing, wake=lambda: made.wake("sender"))

    made = Supervisor(
        Surroundings(
            thing=thing,
            work=work,
            model=model,
            clock=clock,
            nucleus=nucleus,
            sender=send if nucleus is not None else None,
            uploader=lambda store, bucket: Uploader(Bucket(bucket).put, store.spool, store.budget, clock),
        )
    )
    return made
