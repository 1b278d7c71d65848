"""One connection of a component: frames in, operations, frames out."""

import json
import logging
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from offline.device.ipc.errors import OperationError, UnknownOperation
from offline.device.ipc.frames import Decoder, Flag, Frame, FrameError, MessageType
from offline.device.ipc.operations import PREFIX, Operations
from offline.device.ipc.streams import Stream

log = logging.getLogger(__name__)

# https://github.com/aws-greengrass/aws-greengrass-lite: GGL_IPC_MAX_MSG_LEN; the classic nucleus takes what the
# encoding allows.
LITE_FRAME_BYTES: Final = 10_000
CLASSIC_FRAME_BYTES: Final = 16 * 1024 * 1024
VERSION: Final = "0.1.0"

_JSON: Final = "application/json"
_READ_BYTES: Final = 65_536


class Connection:
    """Serves one socket in two threads, until either side closes it.

    Args:
        component_of: the component that a token was given to; None when it is no token, or none any more.
        closed: called last of all, when nothing is left to join.
    """

    def __init__(
        self,
        peer: socket.socket,
        operations: Operations,
        *,
        lite: bool,
        component_of: Callable[[str], str | None],
        closed: Callable[["Connection"], None],
    ) -> None:
        self._peer, self._operations, self._lite = peer, operations, lite
        self._component_of, self._closed = component_of, closed
        self._component = ""
        self._streams: dict[int, Stream] = {}
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=target, name=f"ipc-{target.__name__.strip('_')}", daemon=True)
            for target in (self._read, self._write)
        ]

    def start(self) -> None:
        """Begin to serve."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End it: the component reads an end of file, and what it did not read is gone."""
        try:
            self._peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already

    def join(self) -> None:
        """Wait until its threads have ended."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    # ---- Threads -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        decoder = Decoder(LITE_FRAME_BYTES if self._lite else CLASSIC_FRAME_BYTES)
        try:
            while data := self._peer.recv(_READ_BYTES):
                for frame in decoder.feed(data):
                    if not self._take(frame):
                        return
        except FrameError as error:
            log.info("connection of %s closed: %s", self._component or "nobody", error)
        except OSError:
            return  # reset by the component
        finally:
            self._outgoing.put(None)
            streams, self._streams = self._streams, {}
            for stream in streams.values():
                stream.close()

    def _write(self) -> None:
        """Send what is queued, and the end of file once `_read` has ended: the last answer still gets out."""
        try:
            while (data := self._outgoing.get()) is not None:
                self._peer.sendall(data)
        except OSError:
            return  # reset by the component, which `_read` notices too
        finally:
            self.close()
            self._threads[0].join()
            self._peer.close()
            self._closed(self)

    def _send(self, frame: Frame) -> None:
        self._outgoing.put(frame.encoded())

    # ---- Frames ------------------------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> bool:
        """Deal with one frame; False ends the connection."""
        if not self._component:
            return self._connect(frame)
        if frame.kind == MessageType.PING and not self._lite:
            self._send(Frame(MessageType.PING_RESPONSE, payload=frame.payload))
            return True
        if frame.kind not in (MessageType.APPLICATION, MessageType.ERROR) or frame.stream <= 0:
            return False
        operation = frame.text("operation")
        if frame.stream in self._streams or (frame.flags & Flag.TERMINATE and not operation):
            if frame.flags & Flag.TERMINATE and (stream := self._streams.pop(frame.stream, None)):
                stream.close()
            return True
        self._request(frame, operation)
        return True

    def _connect(self, frame: Frame) -> bool:
        """Whether the first frame is that of a component with a token of this nucleus."""
        self._component = self._welcome(frame) or ""
        if self._component:
            self._send(Frame(MessageType.CONNECT_ACK, Flag.ACCEPTED))
        elif not self._lite:
            self._send(Frame(MessageType.CONNECT_ACK))  # lite says nothing
        return bool(self._component)

    def _welcome(self, frame: Frame) -> str | None:
        versions = ("", VERSION) if self._lite else (VERSION,)
        if frame.kind != MessageType.CONNECT or frame.text(":version") not in versions:
            return None
        try:
            given = json.loads(frame.payload)
        except ValueError:
            return None
        if not isinstance(given, dict) or not isinstance(given.get("authToken"), str):
            return None
        component = self._component_of(given["authToken"])
        return component if given.get("componentName", component) == component else None

    def _request(self, frame: Frame, operation: str) -> None:
        stream = Stream(lambda kind, payload: self._say(frame.stream, kind, payload))
        try:
            if self._lite and (frame.kind or frame.flags):
                raise OperationError("ServiceError", "")
            response = self._operations.answer(self._component, operation, frame.payload, stream)
        except OperationError as error:
            stream.close()
            self._refuse(frame.stream, error)
            return
        except UnknownOperation:
            if self._lite:
                self._refuse(frame.stream, OperationError("ServiceError", ""))
            else:
                self._send(Frame(MessageType.ERROR, Flag.TERMINATE, frame.stream))
            return
        if stream.continues:
            self._streams[frame.stream] = stream
        done = not self._lite and not stream.continues
        kind = f"{operation.removeprefix(PREFIX)}Response"
        stream.respond(lambda: self._say(frame.stream, kind, response, Flag.TERMINATE if done else Flag.NONE))

    def _say(self, stream: int, kind: str, payload: Mapping[str, Any], flags: int = 0) -> None:
        self._send(Frame(MessageType.APPLICATION, flags, stream, _described(kind), _encoded(payload)))

    def _refuse(self, stream: int, error: OperationError) -> None:
        message = str(error)
        payload = {"_message": message, "_errorCode": error.name}
        if not self._lite:  # the SDK reads `message` alone: an error of lite has none there
            payload |= {"message": message, "_service": f"{PREFIX}GreengrassCoreIPC"}
        frame = Frame(MessageType.ERROR, Flag.TERMINATE, stream, _described(error.name), _encoded(payload))
        self._send(frame)


def _described(kind: str) -> dict[str, str | int | bytes]:
    return {":content-type": _JSON, "service-model-type": f"{PREFIX}{kind}"}


def _encoded(payload: Mapping[str, Any]) -> bytes:
    """Compact, with sorted keys, as lite writes it."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
