#!/bin/sh
# Puts the store's URL together from parts, so that the password stays in a secret's file, then becomes ftsearch.
set -eu
if [ -z "${FTSEARCH_STORAGE:-}" ] && [ -n "${FTSEARCH_DATABASE_HOST:-}" ]; then
    password=$(cat "${FTSEARCH_DATABASE_PASSWORD_FILE:?say where the secret is mounted}")
    # Characters with a meaning in a URL are written as their codes.
    quoted=$(printf %s "$password" | python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.stdin.read(), safe=""))')
    FTSEARCH_STORAGE="postgresql://${FTSEARCH_DATABASE_USER:-ftsearch}:${quoted}@${FTSEARCH_DATABASE_HOST}:${FTSEARCH_DATABASE_PORT:-5432}/${FTSEARCH_DATABASE_NAME:-ftsearch}"
    export FTSEARCH_STORAGE
fi
exec ftsearch "$@"
