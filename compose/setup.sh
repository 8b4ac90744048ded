#!/bin/sh
# The first step of the stack: keys, tokens and roles, made once, each put into the volume of the one
# container that may have it. What is there stays; `docker compose down -v` forgets everything.
set -eu
umask 077
out=/out
account=123456789012

random() { od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; }

# What everybody may read: the services and runbooks of all scenarios.
umask 022
midwatch-sim catalog /scenarios "$out/shared"
umask 077

# A role of its own for each container that speaks to AWS, with the least policy that its server
# prints, and the key that may assume it. The world checks them.
role() { # NAME POLICY-COMMAND…
  name=$1
  shift
  key=AKIA$(random | cut -c1-16 | tr a-f A-F)
  cat >"$out/$name/aws" <<EOF
[default]
region = us-east-1
role_arn = arn:aws:iam::$account:role/midwatch-$name
source_profile = key

[profile key]
region = us-east-1
aws_access_key_id = $key
aws_secret_access_key = $(random)
EOF
  "$@" >"$out/sim/$name.json"
  printf '\n[role.midwatch-%s]\nkey = "%s"\npolicy = "%s.json"\n' "$name" "$key" "$name" >>"$out/sim/roles.toml"
}

# A caller of the remediation server: its token to stdout, its entry to the server's list.
caller() { # NAME KIND
  said=$(midwatch mcp remediation --new-caller "$1" "$2")
  printf '%s\n' "$said" | sed -n '/^\[\[caller\]\]/,$p' >>"$out/remediation/callers.toml"
  printf '%s\n' "$said" | sed -n '/^mwt_/p'
}

make() {
  # Half of it, from a run that was broken off, fits nothing that is made now.
  for name in desk remediation supervisor logs metrics deployments runbooks workflows sim person prometheus; do
    find "$out/$name" -mindepth 1 -delete
  done

  # The desk alone has the signing key.
  export MIDWATCH_DESK_DIR=$out/desk
  midwatch keys create >/dev/null
  (umask 022 && cp "$out/desk/keys/public-keys.toml" "$out/shared/public-keys.toml")
  midwatch approvers add first-on-call --role oncall --role owner >"$out/person/token" 2>/dev/null
  midwatch approvers add midwatch --kind asker >"$out/supervisor/desk.token" 2>/dev/null
  midwatch approvers add midwatch-remediation --kind server >"$out/remediation/desk.token" 2>/dev/null

  # The remediation server knows two callers: the supervisor, and the desk, which may only plan.
  caller midwatch supervisor >"$out/supervisor/remediation.token"
  caller desk desk >"$out/desk/remediation.token"

  # A token of its own for each server that reads.
  for name in logs metrics deployments runbooks workflows; do
    random >"$out/$name/token"
    cp "$out/$name/token" "$out/supervisor/$name.token"
  done

  # AWS. The supervisor itself only asks models.
  printf 'account = "%s"\n' "$account" >"$out/sim/roles.toml"
  for name in logs metrics deployments runbooks workflows remediation; do
    role "$name" midwatch mcp "$name" --iam-policy
  done
  role supervisor echo '{"Statement":[{"Effect":"Allow","Action":["bedrock:InvokeModel","bedrock:CountTokens"]}]}'

  # Prometheus runs as another user.
  (umask 022 && random >"$out/prometheus/token")
  echo "keys, tokens and roles are made; the signing key is in the desk's volume only"
}

if [ ! -e "$out/desk/made" ]; then
  make
  touch "$out/desk/made"
else
  echo "keys, tokens and roles are there"
fi

# The configuration is written anew each time, so that what you change in midwatch.toml counts.
{
  cat /etc/midwatch.toml
  printf '\n[[caller]]\nname = "prometheus"\nmay = ["metrics"]\nsha256 = "%s"\n' \
    "$(tr -d '\n' <"$out/prometheus/token" | sha256sum | cut -d' ' -f1)"
} >"$out/supervisor/midwatch.toml"
if [ "${MIDWATCH_MODEL:-playbook}" = openai ]; then
  for size in small large; do
    printf '[[%s]]\nprovider = "openai"\nbase_url = "%s"\nmodel = "%s"\ncalling = "%s"\nplain_http = "anywhere"\nprice = { input = 0, output = 0 }\n\n' \
      "$size" "$OPENAI_URL" "$OPENAI_MODEL" "$OPENAI_CALLING"
  done >"$out/supervisor/money.toml"
else
  : >"$out/supervisor/money.toml"
fi
