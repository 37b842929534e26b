#!/bin/sh
# Brings the backup $BACKUP_SNAPSHOT of the restic repository that the RESTIC variables name back into the folder
# $BACKUP_FOLDER, verified; $BACKUP_FETCH holds more options.
set -eu
# Without a lock, and whatever lock there is: what a backup that was killed has left must keep nobody from restoring.
# shellcheck disable=SC2086 # they are several words
restic --no-cache --no-lock restore "$BACKUP_SNAPSHOT" --target="$BACKUP_FOLDER" --verify $BACKUP_FETCH
