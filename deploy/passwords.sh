#!/usr/bin/env bash
# In the container of PostgreSQL, at its first start, after roles.sql: both users get the passwords of the secrets.
set -euo pipefail
for user in lbs_owner lbs_app; do
  psql --username postgres --dbname lbs --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
    --set user="$user" --set password="$(cat "/run/secrets/${user}_password")" <<'SQL'
ALTER ROLE :"user" PASSWORD :'password';
SQL
done
