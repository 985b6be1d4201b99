#!/usr/bin/env bash
# Enhances photos with a Remaster service, by curl and jq.
#
#     bash client.sh http://127.0.0.1:8000 photo.jpg another.jpg
set -euo pipefail

server=$1
shift

# --retry repeats a request that was answered 429 or 503, after the time in Retry-After, and one whose connection was cut. The key
# makes that safe: the photo is charged once.
request() { curl --silent --show-error --fail-with-body --retry 10 --retry-connrefused --max-time 90 "$@"; }
key() { echo "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"; }

# Waits until the job or batch at the URL $1 has ended, and prints it.
ended() {
  local state
  while state=$(request "$1?wait=30"); do
    case $(jq -r .status <<< "$state") in queued | processing | open) ;; *) echo "$state" && return ;; esac
  done
}

job=$(request -H "$(key)" -F "file=@$1" -F scale=2 "$server/jobs")
job=$(ended "$(jq -r .urls.self <<< "$job")")
if [ "$(jq -r .status <<< "$job")" != succeeded ]; then
  jq -r .error.message <<< "$job" >&2
  exit 1
fi
request --location --output result.png "$(jq -r .result.url <<< "$job")"
echo "$(jq -r .result.sha256 <<< "$job")  result.png" | sha256sum --check --quiet
echo "result.png: $(jq -r '"\(.result.width)x\(.result.height)"' <<< "$job")"

files=()
for photo in "$@"; do files+=(-F "file=@$photo"); done
batch=$(request -H "$(key)" "${files[@]}" -F scale=2 "$server/batches")
batch=$(ended "$(jq -r .urls.self <<< "$batch")")
request --location --output results.zip "$(jq -r .urls.results <<< "$batch")"
echo "results.zip: $(jq .counts.succeeded <<< "$batch") of $#"
