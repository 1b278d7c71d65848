"""What proves to the nucleus which component asks: SVCUID, which is AWS_CONTAINER_AUTHORIZATION_TOKEN too."""

import base64
import secrets
import threading
from typing import Final

_BYTES: Final = 12  # 16 characters of base64, as nucleus lite has them


class Tokens:
    """The tokens of one device. They live as long as its nucleus runs. Safe to use from any thread."""

    def __init__(self) -> None:
        self._components: dict[str, str] = {}
        self._changing = threading.Lock()

    def of(self, component: str) -> str:
        """The component's token, the same until `revoke_all`."""
        with self._changing:
            for token, name in self._components.items():
                if name == component:
                    return token
            token = base64.b64encode(secrets.token_bytes(_BYTES)).decode()
            self._components[token] = component
            return token

    def component(self, token: str) -> str | None:
        """Whose token this is; None for nobody's."""
        with self._changing:
            return self._components.get(token)

    def revoke_all(self) -> None:
        """Forget every token, as a nucleus does that starts anew."""
        with self._changing:
            self._components.clear()
