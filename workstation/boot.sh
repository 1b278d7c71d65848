#!/bin/bash
# Makes the workstation what the last deployment says: fetches the files of this folder, and lets setup.sh install them.
# It is the machine's user data, which cloud-init runs once; it copies itself to where cloud-init runs it at every start.
# `reefloop update` runs it too. A change of this one file reaches new machines only, one of the others every machine.
# The stack writes PARAMETER and REGION above this line. DESTDIR is for trying it out elsewhere.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
# https://cloudinit.readthedocs.io/en/latest/reference/modules.html#scripts-per-boot
set -euo pipefail
export AWS_PAGER=''
export DESTDIR="${DESTDIR-}"
: "${PARAMETER:?}" "${REGION:?}"

home=$DESTDIR/opt/reefloop
itself=$DESTDIR/var/lib/cloud/scripts/per-boot/reefloop

# A GPU that nobody watches costs money until somebody looks. If what follows fails before the watch is installed, the
# machine stops all the same.
if [ ! -e "$DESTDIR/etc/systemd/system/reefloop-idle.timer" ]; then
  shutdown -h +60 'The workstation could not be set up: see /var/log/cloud-init-output.log'
fi

mkdir -p "$home" "${itself%/*}"
[ "$0" -ef "$itself" ] || install -m 755 "$0" "$itself"

aws ssm get-parameter --region "$REGION" --name "$PARAMETER" --query Parameter.Value --output text >"$home/settings.new"
files=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["files"])' <"$home/settings.new")
aws s3 cp --region "$REGION" --only-show-errors "$files" "$home/files.zip"
rm -rf "$home/new"
python3 -m zipfile -e "$home/files.zip" "$home/new"
rm -rf "$home/workstation"
mv "$home/new" "$home/workstation"
mv "$home/settings.new" "$home/settings.json"

exec bash "$home/workstation/setup.sh"
