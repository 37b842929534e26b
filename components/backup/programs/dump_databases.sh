#!/bin/sh
# Dumps every database into the folder $BACKUP_FOLDER. Where the server is and whose account it takes, the PG variables
# say. Uncompressed, so that what didn't change since the last backup takes no space in the next.
set -eu
umask 077
databases=$(psql --no-psqlrc --no-password --tuples-only --no-align --quiet --dbname=postgres --command="
  SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate
    AND datname NOT IN ('postgres', 'terrace_restored', 'terrace_replaced') ORDER BY 1")
for database in $databases; do
  echo "database $database"
  pg_dump --no-password --format=custom --compress=0 --dbname="$database" --file="$BACKUP_FOLDER/$database.dump"
done
