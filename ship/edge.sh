#!/bin/bash
# Runs nginx and the shipper until one of them ends or the container is stopped; then nginx ends first,
# which writes out its log, and the shipper takes what is left.

set -u

NGINX=${NGINX:-nginx}
LOGS=${PIXELSHIP_LOGS:-/var/log/nginx}
PID_FILE=${NGINX_PID:-/run/nginx.pid}
SHIP=(pixelship ship --from "$LOGS" --to "${PIXELSHIP_TO:?say where to: gs://BUCKET/FOLDER}"
    --host "${PIXELSHIP_HOST:-$(hostname)}" ${PIXELSHIP_OPTIONS:-})

trap : TERM INT
# shellcheck disable=SC2086 # words, not a name
$NGINX -g 'daemon off;' &
nginx=$!
"${SHIP[@]}" --rotate --nginx-pid "$PID_FILE" --watch "${PIXELSHIP_EVERY:-5m}" &
shipper=$!

wait -n
ended=$?

kill -QUIT "$nginx" 2>/dev/null
kill -KILL "$shipper" 2>/dev/null
wait "$nginx" "$shipper" 2>/dev/null
if [ -s "$LOGS/pixelship.log" ]; then
    mv "$LOGS/pixelship.log" "$LOGS/pixelship.log-$(date -u +%Y%m%dT%H%M%S.%NZ)"
fi
"${SHIP[@]}" || exit $?
[ "$ended" -gt 128 ] || exit 1
