#!/usr/bin/env bash
# Creates the action, and the trigger that has it forget silent peers. wsk must be set up.
# What the environment says of waggle's settings (WAGGLE_...), of the store's credentials
# and of headers for traces (OTEL_...) goes to the action.
#
#   WAGGLE_STORE='s3://waggle/peers?region=us-east-1&endpoint=http://minio.example:9000' \
#   AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... deploy/openwhisk/action.sh registry.example/waggle-action
set -euo pipefail
image=${1:?name the image: see deploy/openwhisk/Containerfile}
: "${WAGGLE_STORE:?set it to the URL of a store on a network}"

settings=()
for name in "${!WAGGLE_@}" AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION "${!OTEL_@}"; do
	if [ -n "${!name:-}" ]; then settings+=(--env "$name" "${!name}"); fi
done

# raw: the query, and the body, come as they are.
wsk action update waggle --docker "$image" --web raw --memory 256 --timeout 60000 "${settings[@]}"

wsk trigger get waggle-tidy >/dev/null 2>&1 ||
	wsk trigger create waggle-tidy --feed /whisk.system/alarms/interval --param minutes 15 \
		--param trigger_payload '{"detail-type": "Scheduled Event"}'
wsk rule update waggle-tidy waggle-tidy waggle

echo "the proxy before it (deploy/openwhisk/nginx.conf) passes requests to:"
wsk action get waggle --url | tail -n 1
