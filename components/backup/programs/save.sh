#!/bin/sh
# Backs the folder $BACKUP_FOLDER up into the restic repository that the RESTIC variables name, but for the patterns of
# the file $BACKUP_EXCLUDES, and deletes the backups that $BACKUP_KEEP doesn't ask to keep. The repository is checked
# first: where there is a new backup, it is in a whole one.
set -eu
if ! restic --no-cache cat config >/dev/null 2>&1; then
  restic --no-cache init # which refuses a repository that the password doesn't open
fi
restic --no-cache unlock # what a pod that is gone has left, once that is half an hour old
restic --no-cache check
cd "$BACKUP_FOLDER"
# Whole paths: a pattern alone would also leave out what has that name elsewhere, and above the folder.
# lost+found is root's, in a volume that is a file system of its own.
code=0
said=$({ cat "$BACKUP_EXCLUDES"; echo lost+found; } | sed "s|^|$BACKUP_FOLDER/|" | restic --no-cache \
  backup --tag=terrace --host="$BACKUP_PART" --exclude-file=/dev/stdin . 2>&1) || code=$?
echo "$said"
# 3 is a backup without some of the files. That these have gone meanwhile is no loss.
if [ "$code" -eq 3 ] && ! echo "$said" | grep '^error: ' | grep -qv 'no such file or directory'; then
  code=0
fi
if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then
  exit "$code"
fi
# shellcheck disable=SC2086 # they are several words
restic --no-cache forget --tag=terrace --group-by= --prune $BACKUP_KEEP
exit "$code"
