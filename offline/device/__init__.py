"""Greengrass core devices on a laptop: they resolve deployments, fetch artifacts and run components as processes."""

from offline.device.core import CoreDevice
from offline.device.provisioning import install, provision

__all__ = ["CoreDevice", "install", "provision"]
