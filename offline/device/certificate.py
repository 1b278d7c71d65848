"""What a device may do over MQTT: the IoT policies of its certificate.

https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html
Policy variables are not resolved: those of the thing do not work for core devices, whose client ids only begin with its
name. https://docs.aws.amazon.com/greengrass/v2/developerguide/device-auth.html
"""

import json

from moto.iot.models import iot_backends

from offline.permissions import permits
from offline.state import ACCOUNT_ID, State


class Certificate:
    """One device's certificate. Call it with an action and a resource to hear whether it is permitted."""

    def __init__(self, state: State, arn: str) -> None:
        self._region, self._arn = state.region, arn

    def __call__(self, action: str, resource: str) -> bool:
        """Whether its policies permit an action ("iot:Publish") on a resource ("topic/a/b")."""
        # Every message asks: through the API that would cost milliseconds.
        policies = iot_backends[ACCOUNT_ID][self._region].list_attached_policies(self._arn)
        documents = (json.loads(one.document) if isinstance(one.document, str) else one.document for one in policies)
        return permits(documents, action, f"arn:aws:iot:{self._region}:{ACCOUNT_ID}:{resource}")
