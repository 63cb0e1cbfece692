#!/bin/sh
# Writes the passwords that compose.yaml needs to compose/secrets/, and keeps those that are there.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets # not accessible to other users; inside, the users of the containers read the files
for name in database_password migration_database_url jobs_password reader_password prefect_database_password prefect_auth_string; do
    if [ ! -s "secrets/$name" ]; then
        random=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')
        case $name in
        migration_database_url)
            printf 'postgresql://embassy_jobs:%s@database/embassy_jobs\n' "$(cat secrets/database_password)" >"secrets/$name"
            ;;
        prefect_auth_string) printf 'admin:%s\n' "$random" >"secrets/$name" ;;
        *) printf '%s\n' "$random" >"secrets/$name" ;;
        esac
        chmod 644 "secrets/$name"
        echo "written    $(pwd)/secrets/$name"
    fi
done
echo "sign in    with the password $(cat secrets/prefect_auth_string)"
