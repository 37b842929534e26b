#!/bin/sh
# Brings the backup $BACKUP_SNAPSHOT of the restic repository that the RESTIC variables name back into the folder
# $BACKUP_FOLDER, verified; $BACKUP_FETCH holds more options.
set -eu
# shellcheck disable=SC2086 # they are several words
restic --no-cache restore "$BACKUP_SNAPSHOT" --target="$BACKUP_FOLDER" --verify $BACKUP_FETCH
