#!/bin/sh
# Makes the secrets of compose.yaml once: random words, and from them what each service reads. To replace a word, delete its file
# in the volume `secrets-node` and run `docker compose up --force-recreate`.
#
# Files belong to root, which has no capability here to read those of others, and are readable for the group of their service.
set -eu
cd /secrets

# word FILE: its content, made if it is missing.
word() {
  [ -s "$1" ] || openssl rand -hex 24 | put "$1" 10001
  cat "$1"
}

# put FILE GROUP: standard input becomes the file, completely or not at all.
put() {
  (umask 027 && cat >"$1.new")
  chown "0:$2" "$1.new"
  mv "$1.new" "$1"
}

password=$(word node/redis_password) id=$(word node/storage_id) key=$(word node/storage_key)

echo "redis://:$password@redis:6379" | put node/redis_url 10001
echo "requirepass $password" | put redis/redis.conf 1000
echo "$password" | put redis/password 1000

# The nodes' key, which is the only one, may use the one bucket and may not even make it.
put storage/s3.json 1000 <<EOF
{"identities": [{
  "name": "remaster",
  "credentials": [{"accessKey": "$id", "secretKey": "$key"}],
  "actions": ["Read:photos", "Write:photos", "List:photos"]
}]}
EOF

# pair NAME FOLDER GROUP KEY CERTIFICATE: a self-signed certificate and its key, made if they are missing.
pair() {
  [ -s "$2/$5" ] && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$1" \
    -addext "subjectAltName=DNS:$1,DNS:localhost,IP:127.0.0.1" -keyout /tmp/key -out /tmp/certificate 2>/dev/null
  put "$2/$4" "$3" </tmp/key
  put "$2/$5" "$3" </tmp/certificate
}

# The storage's port for managing identities asks for a certificate that nobody else has.
pair storage storage 1000 grpc.key grpc.pem

# For the time until there is a certificate that browsers trust.
pair "$DOMAIN" tls 101 privkey.pem fullchain.pem

# New volumes belong to root.
chown 1000:1000 /owned/1000
chown 101:101 /owned/101/*
