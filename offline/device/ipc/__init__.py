"""Greengrass IPC: what components on a device ask of their nucleus with `awsiotsdk`, over a Unix socket.

Read store.py for configurations, mqtt.py for what becomes of messages, operations.py for what can be asked.
"""

from offline.device.ipc.server import SOCKET, Server
from offline.device.ipc.store import Configurations

__all__ = ["SOCKET", "Configurations", "Server"]
