#!/bin/bash
# Installs what boot.sh fetched: the command, and the watch that stops an idle machine.
set -euo pipefail

installed=${DESTDIR-}/opt/reefloop/workstation
units=${DESTDIR-}/etc/systemd/system

chmod 755 "$installed/reefloop"
mkdir -p "${DESTDIR-}/usr/local/bin" "$units"
ln -sfn /opt/reefloop/workstation/reefloop "${DESTDIR-}/usr/local/bin/reefloop"
install -m 644 "$installed"/systemd/* "$units"
systemctl daemon-reload
systemctl enable --now reefloop-idle.timer
# From here on the watch stops the machine: what boot.sh ordered for the case that this would not be reached is off.
shutdown -c
