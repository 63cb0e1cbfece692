#!/bin/sh
# Replaces the database of the jobs with a backup, and brings its tables up to date.
#
#   sh deployments/backup/restore.sh FILE
#
# Stop all workers before: a database that is in use is not replaced. The backup is restored beside it first, so that a
# broken file or a full disk changes nothing. PYTHON names the Python of the project.
set -eu
file=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/../.."
variables=$("${PYTHON:-python}" -m db.shell)
eval "$variables"
beside=${PGDATABASE}_restored
export PGOPTIONS="--client-min-messages=warning"

dropdb --if-exists "$beside"
trap 'dropdb --if-exists "$beside"' EXIT
createdb --template=template0 --encoding=UTF8 "$beside"
# As text, without the one setting that servers before 17 do not know. What cannot be read ends it with an error. Owner
# and rights are those of this server: the migrations grant them.
{
    pg_restore --no-owner --no-privileges --file=- "$file" || printf '%s\n' '\.' 'the backup cannot be read;'
} | sed '1,40{/^SET transaction_timeout = 0;$/d;}' |
    psql --quiet --no-psqlrc --dbname="$beside" --set=ON_ERROR_STOP=1 --output=/dev/null
dropdb --if-exists "$PGDATABASE"
trap - EXIT # from here on it is the only one
psql --quiet --no-psqlrc --dbname=postgres --set=ON_ERROR_STOP=1 --set=old="$beside" --set=new="$PGDATABASE" <<'SQL'
ALTER DATABASE :"old" RENAME TO :"new";
SQL
"${PYTHON:-python}" -m deployments.migrate
echo "restored   $file"
