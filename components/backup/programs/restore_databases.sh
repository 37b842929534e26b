#!/bin/sh
# Makes each database what its dump in the folder $BACKUP_FOLDER holds. A dump goes into a new database, which takes the
# place of the old one when it is complete, with the same owner and the same accounts. The PG variables name the server
# and its administrator; who uses a database is disconnected.
set -eu

query() { # database, statement
  psql --no-psqlrc --no-password --tuples-only --no-align --quiet --set=ON_ERROR_STOP=1 --dbname="$1" --command="$2"
}

# Restores as somebody who may do no more than the owner. In the administrator's session a function in the dump could
# become the administrator again, whatever role is set.
fill() { # owner, file
  password=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  query postgres 'DROP ROLE IF EXISTS terrace_restorer'
  printf "CREATE ROLE terrace_restorer LOGIN PASSWORD '%s' IN ROLE \"%s\"" "$password" "$1" |
    psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --dbname=postgres
  PGUSER=terrace_restorer PGPASSWORD=$password pg_restore --no-password --no-owner --role="$1" \
    --single-transaction --exit-on-error --dbname=terrace_restored "$2"
  query postgres 'DROP ROLE terrace_restorer'
}

restore() { # database, file
  owner=$(query postgres "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '$1'")
  if [ -z "$owner" ]; then
    echo "there is no database $1, whose place it could take: bring the platform up first" >&2
    exit 1
  fi
  echo "database $1"
  query postgres 'DROP DATABASE IF EXISTS terrace_restored WITH (FORCE)'
  query postgres 'DROP DATABASE IF EXISTS terrace_replaced WITH (FORCE)'
  query postgres "CREATE DATABASE terrace_restored OWNER \"$owner\""
  fill "$owner" "$2"
  query postgres 'REVOKE ALL ON DATABASE terrace_restored FROM PUBLIC'
  for account in $(query postgres "SELECT DISTINCT pg_get_userbyid(given.grantee)
      FROM pg_database, aclexplode(datacl) AS given WHERE datname = '$1' AND given.privilege_type = 'CONNECT'
        AND given.grantee NOT IN (0, datdba)"); do
    query postgres "GRANT CONNECT ON DATABASE terrace_restored TO \"$account\""
  done
  # psql sends a command's statements as one transaction: both names change, or neither.
  query postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '$1';
    ALTER DATABASE \"$1\" RENAME TO terrace_replaced; ALTER DATABASE terrace_restored RENAME TO \"$1\"" >/dev/null
  query postgres 'DROP DATABASE terrace_replaced WITH (FORCE)'
}

for file in "$BACKUP_FOLDER"/*.dump; do
  if [ ! -e "$file" ]; then
    echo "the backup holds no database" >&2
    exit 1
  fi
  name=${file##*/}
  restore "${name%.dump}" "$file"
done
