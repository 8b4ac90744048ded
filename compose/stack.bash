# Sourced by fire, midwatch and pages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Compose v2, or docker-compose 1.29.
compose() {
  if docker compose version >/dev/null 2>&1; then docker compose -f compose.yaml "$@"
  else docker-compose -f compose.yaml "$@"; fi
}

up() {
  [ -n "$(compose ps -q supervisor 2>/dev/null)" ] && return 0
  echo "the stack is not up: cd compose && docker compose up -d --build" >&2
  exit 1
}
