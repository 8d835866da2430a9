#!/bin/sh
# Installs the locked validators into node_modules, here and nowhere else, and runs them.
set -eu
cd "$(dirname "$0")"

for tool in node npm; do
	command -v "$tool" >/dev/null || { echo "$tool is needed, and is not on PATH: install Node 18 or newer" >&2; exit 1; }
done
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
	{ echo "Node 18 or newer is needed; this is $(node --version)" >&2; exit 1; }

if [ ! -e node_modules/.installed ] || [ package-lock.json -nt node_modules/.installed ]; then
	# npm would keep what it downloads, and a log, in the home folder.
	cache=$(mktemp -d)
	trap 'rm -rf "$cache"' EXIT
	npm ci --cache "$cache" --no-progress --loglevel error || { echo "npm could not install the validators" >&2; exit 1; }
	touch node_modules/.installed
fi
node validate.mjs ../../schemas
