"""The address of a camera: what is opened, and what may be said of it."""

from pathlib import Path

from classifier.frames import Unreadable
from classifier.masking import masked


class Address:
    """A device, a URL or a path; or @<file>, which keeps the password out of the configuration too.

    The file is read at every attempt to connect, so that a new password needs no restart.
    """

    def __init__(self, text: str, *, folder: Path) -> None:
        self._text, self._folder = text, folder
        self.shown = masked(text)

    def read(self) -> str:
        """The address itself. Say `shown` in its place wherever somebody may read it.

        Raises:
            Unreadable: there is no such file, or nothing in it.
        """
        if not self._text.startswith("@"):
            return self._text
        path = self._folder / self._text[1:]
        try:
            with path.open(encoding="utf-8") as file:
                text = file.readline(4096).strip()
        except (OSError, ValueError) as error:
            # Never the text of a decoding error: it quotes the bytes.
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise Unreadable(f"the address should be in {path}: {reason}") from None
        if not text:
            raise Unreadable(f"the address should be in {path}, whose first line is empty")
        return text

    @property
    def remote(self) -> bool:
        """Whether it is a URL, as far as can be told without reading it: in @<file> it is."""
        return "://" in self._text or self._text.startswith("@")

    def path(self) -> Path:
        """The address of a file on this device.

        Raises:
            Unreadable: as `read`.
        """
        return self._folder / self.read()
