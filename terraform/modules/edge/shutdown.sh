#!/bin/bash
# Ships what is left when a machine is stopped: nginx ends first, and so writes out its log. What there is
# no time for is on the disk of the logs, and is shipped when the machine is back.

set -uo pipefail

log=/var/log/nginx/pixelship.log
systemctl stop nginx
if [ -s "$log" ]; then
  mv "$log" "$log-$(date -u +%Y%m%dT%H%M%S.%NZ)"
fi
. /etc/default/pixelship-ship
/usr/local/bin/pixelship ship --from /var/log/nginx --to "$PIXELSHIP_TO" --settle 0s
