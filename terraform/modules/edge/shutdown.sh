#!/bin/bash
# Ships what is left when a machine is stopped: nginx ends first, and so writes out its log. What there is
# no time for is on the disk of the logs, and is shipped when the machine is back.

set -uo pipefail

root=${DESTDIR:-}
logs=$root/var/log/nginx
systemctl stop nginx
if [ -s "$logs/pixelship.log" ]; then
  mv "$logs/pixelship.log" "$logs/pixelship.log-$(date -u +%Y%m%dT%H%M%S.%NZ)"
fi
. "$root/etc/default/pixelship-ship"
pixelship ship --from "$logs" --to "$PIXELSHIP_TO" --settle 0s
