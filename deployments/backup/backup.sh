#!/bin/sh
# Backs up the database of the jobs into a directory: once, or again every so many seconds.
#
#   sh deployments/backup/backup.sh DIRECTORY [SECONDS]
#
# Nothing has to be stopped. A backup appears under its name only when it is complete and can be read. The newest
# BACKUPS_KEPT (14) are kept. The database is the one that the settings name; PYTHON names the Python of the project.
set -eu
umask 077
directory=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

if [ $# -gt 1 ]; then
    while :; do
        sh deployments/backup/backup.sh "$directory" || echo "backup     failed; the next attempt is in $2 s" >&2
        sleep "$2"
    done
fi

variables=$("${PYTHON:-python}" -m db.shell)
eval "$variables"
file=$directory/embassy-jobs-$(date -u +%Y%m%dT%H%M%SZ).dump
trap 'rm -f "$file.part"' EXIT
pg_dump --format=custom --file="$file.part"
pg_restore --file=/dev/null "$file.part" # reads all of it
mv "$file.part" "$file"
echo "backup     $file, $(wc -c <"$file") bytes"

# The names sort by time.
kept=$((${BACKUPS_KEPT:-14} + 1))
find "$directory" -maxdepth 1 -name 'embassy-jobs-*.dump' | sort -r | tail -n "+$kept" | while read -r old; do
    rm "$old"
    echo "removed    $old"
done
