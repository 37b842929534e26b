#!/bin/sh
# Backs the folder $BACKUP_FOLDER up into the restic repository that the RESTIC variables name, but for the patterns of
# the file $BACKUP_EXCLUDES, and deletes the backups that $BACKUP_KEEP doesn't ask to keep. The repository is checked
# first: where there is a new backup, it is in a whole one.
set -eu
if ! restic --no-cache cat config >/dev/null 2>&1; then
  restic --no-cache init # which refuses a repository that the password doesn't open
fi
restic --no-cache unlock # removes only what a process that is gone has left
restic --no-cache check
cd "$BACKUP_FOLDER"
restic --no-cache backup --tag=terrace --host="$BACKUP_PART" --exclude-file="$BACKUP_EXCLUDES" .
# shellcheck disable=SC2086 # they are several words
restic --no-cache forget --tag=terrace --group-by= --prune $BACKUP_KEEP
