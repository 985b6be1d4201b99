#!/usr/bin/env bash
# Brings compose.yaml up in a project of its own and checks what it promises, under faults and load. It takes some 10 minutes.
#
#   deploy/check.sh          builds the image, checks, tears down
#   KEEP=1 deploy/check.sh   leaves everything up
#
# BINARY names an image that has the binary as /remaster, to use instead of compiling it (deploy/Dockerfile). BINARY_FILE is such a
# binary, which needs no newer C library than the image has.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "SKIPPED: $1"; exit 0; }
docker info >/dev/null 2>&1 || skip "no container engine answers"
docker compose version >/dev/null 2>&1 || skip "Docker Compose 2.24 or newer is missing"
for tool in curl jq; do command -v "$tool" >/dev/null || skip "$tool is missing"; done
docker image inspect redis:8-alpine >/dev/null 2>&1 || docker pull -q redis:8-alpine >/dev/null 2>&1 ||
  skip "no image registry answers, and deploy/base-images.sh has not been run"

project=remaster-check
port=${HTTPS_PORT:-18443}
export VERSION=check HTTP_PORT=127.0.0.1:${HTTP_PORT:-18080} HTTPS_PORT=127.0.0.1:$port EDGE_SUBNET=172.30.251.0/24
export PUBLIC_URL=https://localhost:$port SIGNED_URLS=1 APIS=2 CPU_WORKERS=2
work=$(mktemp -d)
compose() { docker compose -p $project --env-file /dev/null --progress quiet "$@"; }
web() { curl -sk --max-time 90 "$@"; }
say() { printf '%s  %s\n' "$(date -u +%T)" "$*"; }
fail() { say "FAILED: $*"; exit 1; }

cleanup() {
  touch "$work/stop"
  wait
  if [ -z "${KEEP:-}" ]; then
    docker network disconnect -f $project-outside $project-nginx-1 >/dev/null 2>&1 || true
    compose down -v --remove-orphans >/dev/null 2>&1 || true
    docker network rm $project-outside >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

# eventually SECONDS COMMAND…: waits until the command succeeds.
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || fail "does not come true: $*"
    sleep 0.5
  done
}

# le VALUE BYTES: the number, lowest byte first.
le() { for ((i = 0; i < $2; i++)); do printf '%b' "\\x$(printf %02x $((($1 >> (8 * i)) & 255)))"; done; }

# picture SIDE BYTES: a square gray TIFF of noise, followed by so many bytes that belong to no picture.
picture() {
  local tag type value
  printf 'II*\0'; le 8 4; le 8 2
  while read -r tag type value; do
    le "$tag" 2; le "$type" 2; le 1 4; le "$value" 4
  done <<<"256 4 $1
257 4 $1
258 3 8
259 3 1
262 3 1
273 4 110
278 4 $1
279 4 $(($1 * $1))"
  le 0 4
  head -c $(($1 * $1 + $2)) /dev/urandom
}

ready() { [ "$(web -o /dev/null -w '%{http_code}' "$PUBLIC_URL/ready")" = 200 ]; }
status() { web "$PUBLIC_URL/jobs/$1?wait=30" | jq -r .status; }
ended() { [[ $(status "$1") =~ ^(succeeded|failed|canceled)$ ]]; }
workers() { [ "$(web "$PUBLIC_URL/stats" | jq -r .workers)" = "$1" ]; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$project-$1")" = healthy ]; }
submit() { web -H 'Content-Type: image/tiff' --data-binary @"$1" "$PUBLIC_URL/jobs?scale=4&model=realesr-animevideov3${2:-}"; }

# load NAME: submits small pictures until told to stop. A submission is repeated with its key until it is accepted, as a client
# does it. Every answer is noted, and every job.
load() {
  local number=0 code answer=$work/answer-$1
  while [ ! -e "$work/stop" ]; do
    number=$((number + 1))
    while [ ! -e "$work/stop" ]; do
      echo '{}' >"$answer"
      # Each has bytes of its own behind the picture, or it would be given the result of the one before.
      code=$({ cat "$work/small.tiff"; echo "$1-$number"; } | web -o "$answer" -w '%{http_code} %{exitcode}' \
        -H "Idempotency-Key: $1-$number" -H 'Content-Type: image/tiff' --data-binary @- "$PUBLIC_URL/jobs?scale=4&model=realesr-animevideov3") || true
      echo "$(cat "$work/phase") $code $(jq -r '.detail // ""' "$answer")" >>"$work/answers-$1"
      [[ $code == 20?" 0" ]] && jq -r .id "$answer" >>"$work/jobs-$1" && break
      sleep 0.3
    done
    sleep 0.1
  done
}
phase() { echo "$1" >"$work/phase"; }
# answers PHASE: how the submissions of that phase were answered: how often, with which status, curl's exit code, and why not.
answers() { sed -n "s/^$1 //p" "$work"/answers-* | sort | uniq -c | sort -rn | sed 's/^ */    /'; }

say "building and starting"
if [ -n "${BINARY_FILE:-}" ]; then
  mkdir "$work/binary"
  strip -o "$work/binary/remaster" "$BINARY_FILE"
  export BINARY=remaster-binary:check
  tar -C "$work/binary" -c remaster | docker import - $BINARY >/dev/null
fi
compose build >"$work/build" 2>&1 || { tail -30 "$work/build"; fail "the image is not built"; }
compose up -d >"$work/up" 2>&1 || { tail -30 "$work/up"; compose logs --tail 20; fail "compose up"; }
eventually 600 ready
eventually 60 workers 2
say "up, with $(web "$PUBLIC_URL/stats" | jq -c '[.workers, .store]'), HTTP/$(web -o /dev/null -w '%{http_version}' "$PUBLIC_URL/health")"
[ "$(web -o /dev/null -w '%{http_code}' "http://localhost:${HTTP_PORT#*:}/")" = 308 ] || fail "plain HTTP is not redirected"

# Another caller, at another address. nginx is connected before anything is charged: it may change where this caller seems to be.
docker network create $project-outside >/dev/null
docker network connect --alias proxy $project-outside $project-nginx-1

say "hardening"
for container in $(compose ps -q); do
  docker inspect -f '{{.Name}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.Config.User}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}' "$container"
done | awk '$2 != "true" || $3 != "[ALL]" || $4 !~ /no-new-privileges/ || $(NF-1) == 0 || $NF == "<nil>" { print; bad = 1 } END { exit bad }' ||
  fail "a container is not hardened"
address() { docker inspect -f "{{(index .NetworkSettings.Networks \"${project}_inside\").IPAddress}}" "$project-$1"; }
for inside in "$(address redis-1):6379" "$(address storage-1):8333"; do
  docker run --rm --network ${project}_outbound --entrypoint curl nginx:1.30-alpine -s -m 3 "telnet://$inside" </dev/null >/dev/null 2>&1 &&
    fail "$inside is reachable from another network"
done
for url in http://storage:9333 http://storage:8888 http://storage:8080 http://storage:18333/messaging_pb.SeaweedS3IamCache/PutIdentity; do
  docker exec $project-nginx-1 curl -s -m 3 --http2-prior-knowledge -H 'Content-Type: application/grpc' -d '' "$url" >/dev/null 2>&1 &&
    fail "$url answers"
done
docker exec $project-worker-1 python3 -c 'import socket; socket.create_connection(("192.0.2.1", 443), 3)' 2>/dev/null &&
  fail "a worker has a way out"

say "an upload of 49 MB through nginx with TLS"
picture 512 48700000 >"$work/large.tiff"
for protocol in --http1.1 --http2; do
  read -r seconds id < <(web $protocol -o "$work/answer" -w '%{time_total}' -H 'Content-Type: image/tiff' --data-binary @"$work/large.tiff" \
    "$PUBLIC_URL/jobs?scale=4&model=realesr-animevideov3" && jq -r '" " + .id' "$work/answer")
  say "  $protocol: $(stat -c %s "$work/large.tiff") bytes in $seconds s"
done
code=$(head -c 60000000 /dev/zero | web -o "$work/answer" -w '%{http_code}' -H 'Content-Type: image/tiff' -H 'Expect:' --data-binary @- "$PUBLIC_URL/jobs")
[ "$code $(jq -r .code "$work/answer")" = "413 file_too_large" ] || fail "60 MB are answered $code: $(cat "$work/answer")"

say "events without delay"
picture 256 0 >"$work/medium.tiff"
eventually 120 ended "$id"
id=$(submit "$work/medium.tiff" | jq -r .id)
web -N "$PUBLIC_URL/jobs/$id/events" | while read -r line; do
  [[ $line == data:* ]] || continue
  now=$(date +%s.%N)
  jq -r --arg now "$now" '[.status, .progress, (if .finished_at then ($now | tonumber) - (.finished_at[:19] + "Z" | fromdate) - ("0" + .finished_at[19:-1] | tonumber) else empty end)] | join(" ")' <<<"${line#data:}"
done >"$work/events"
say "  $(wc -l <"$work/events") events, the last: $(tail -1 "$work/events") s after the job's end"
awk 'END { exit !($1 == "succeeded" && $3 < 1 && NR > 1) }' "$work/events" || fail "events: $(cat "$work/events")"

say "a result by signed URL"
to=$(web -o /dev/null -w '%{redirect_url}' "$PUBLIC_URL/jobs/$id/result")
[[ $to == "$PUBLIC_URL"/photos/*X-Amz-Signature=* ]] || fail "the result is at $to"
want=$(web "$PUBLIC_URL/jobs/$id" | jq -r .result.sha256)
[ "$(web -L "$PUBLIC_URL/jobs/$id/result" | sha256sum | cut -d' ' -f1)" = "$want" ] || fail "the result is another one"
[ "$(web -o /dev/null -w '%{http_code}' "${to%%\?*}")" = 403 ] || fail "the storage serves without a signature"
[ "$(web -o /dev/null -w '%{http_code}' -X DELETE "$to")" = 403 ] || fail "nginx hands on more than GET"

say "a certificate as Let's Encrypt issues it"
as_certbot() { docker run --rm --user 101:101 --network none -v ${project}_letsencrypt:/etc/letsencrypt -v ${project}_acme:/acme --entrypoint sh remaster:check -c "$1"; }
as_certbot 'mkdir -p /acme/.well-known/acme-challenge && echo proof >/acme/.well-known/acme-challenge/token'
[ "$(web "http://localhost:${HTTP_PORT#*:}/.well-known/acme-challenge/token")" = proof ] || fail "the challenge is not answered"
as_certbot 'mkdir -p /etc/letsencrypt/live/localhost && cd /etc/letsencrypt/live/localhost &&
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=issued -keyout privkey.pem -out fullchain.pem 2>/dev/null'
# Without a pipe, in which curl would fail for want of a reader.
issued() { [[ $(curl -skv "$PUBLIC_URL/health" 2>&1) == *'subject: CN=issued'* ]]; }
eventually 90 issued

say "who the caller is"
other() { docker run --rm -v "$work/medium.tiff:/medium.tiff:ro" --network $project-outside --entrypoint curl nginx:1.30-alpine -sk "$@"; }
picture 32 0 >"$work/small.tiff"
used() { jq -r .used; }
before=$(web "$PUBLIC_URL/quota" | used)
[ "$(other https://proxy:8443/quota | used)" = 0 ] || fail "another caller has this caller's quota"
for n in 1 2 3; do
  other -H "X-Forwarded-For: 203.0.113.$n" -H "Forwarded: for=203.0.113.$n" -H 'Content-Type: image/tiff' --data-binary @/medium.tiff \
    "https://proxy:8443/jobs?scale=4&model=realesr-animevideov3" | jq -e .id >/dev/null || fail "a submission from elsewhere"
done
[ "$(other https://proxy:8443/quota | used)" = 3 ] || fail "headers of the caller decide who is charged"
[ "$(web "$PUBLIC_URL/quota" | used)" = "$before" ] || fail "a caller is charged for another"
[ "$(web -H 'X-Forwarded-For: 203.0.113.1' "$PUBLIC_URL/quota" | used)" = "$before" ] || fail "a header shows another's quota"
[ "$before" = 3 ] || fail "this caller used $before"
say "  one caller used $before, another 3, and headers changed nothing"

charged=$(web "$PUBLIC_URL/stats" | jq .total_requests_today)
phase calm
for name in a b c; do load $name & done
sleep 5
[ -s "$work/jobs-a" ] || fail "the load does not run"

say "an API and a worker are killed under load"
phase kill
for service in api-1 worker-1; do
  docker kill $project-$service >/dev/null
  sleep 5
  docker start $project-$service >/dev/null
  eventually 60 healthy $service
done
answers kill

say "20 SIGTERMs under load"
phase term
for n in 1 2 3 4 5; do
  for service in api-1 worker-1 api-2 worker-2; do
    docker restart -t 30 $project-$service >/dev/null
    [ "$(docker inspect -f '{{.State.ExitCode}}' $project-$service)" = 0 ] || fail "$service did not end by itself"
    eventually 60 healthy $service
  done
done
answers term
grep -qE '^term [0-9]+ [1-9]' "$work"/answers-* && fail "a request was cut"

say "every service is restarted in turn"
phase restart
for service in redis-1 storage-1 api-1 api-2 worker-1 worker-2 nginx-1; do
  docker restart -t 60 $project-$service >/dev/null
  eventually 90 healthy $service
  eventually 60 ready
done
answers restart

say "a worker's network is cut for 40 seconds and healed"
phase partition
docker network disconnect ${project}_inside $project-worker-1
sleep 40
workers 1 || fail "the worker is still counted: $(web "$PUBLIC_URL/stats")"
docker network connect --alias worker ${project}_inside $project-worker-1
eventually 60 workers 2
answers partition

phase end
touch "$work/stop"
wait
say "every accepted job"
cat "$work"/jobs-* >"$work/jobs"
total=$(wc -l <"$work/jobs")
[ "$total" = "$(sort -u "$work/jobs" | wc -l)" ] || fail "an id was given twice"
ends() { sed "s|.*|url = $PUBLIC_URL/jobs/&|" "$work/jobs" | curl -sk -K - | jq -r .status | sort | uniq -c | xargs; }
settled() { ! [[ $(ends) =~ queued|processing ]]; }
eventually 300 settled
after=$(web "$PUBLIC_URL/stats" | jq .total_requests_today)
say "  $total jobs accepted, $((after - charged)) charged, of which $(ends)"
[ "$(ends)" = "$total succeeded" ] || fail "jobs were lost"
[ $((after - charged)) = "$total" ] || fail "charged and accepted differ"
say "PASSED"
