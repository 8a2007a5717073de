#!/usr/bin/env bash
# From a fresh clone to a result: checks the toolchain (as root it installs missing tools with apt), installs the npm
# packages, builds, and runs.
#   bootstrap.sh quickstart | test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

check_node() {
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node $(node --version) is too old: lowrank needs Node 20.19 or newer."
}

# Anew only when package-lock.json has changed since the last time.
install_packages() {
  local stamp=node_modules/.lowrank-lock
  if ! cmp -s package-lock.json "$stamp"; then
    say "Installing npm packages"
    npm ci --ignore-scripts --no-audit --no-fund
    cp package-lock.json "$stamp"
  fi
}

build() {
  say "Building"
  npm run --silent build
}

command="${1:-}"
case "$command" in
  quickstart | test) ;;
  --help) echo "usage: bootstrap.sh quickstart | test"; exit ;;
  *) fail "usage: bootstrap.sh quickstart | test" ;;
esac
check_node
node scripts/toolchain.cjs --install
install_packages
build
if [ "$command" = quickstart ]; then
  say "Quickstart"
  node examples/quickstart.mjs
else
  say "Native tests"
  npm run --silent test:native
  say "Tests"
  npm run --silent test:ts
fi
