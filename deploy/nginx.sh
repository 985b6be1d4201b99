#!/bin/sh
# Starts nginx with the certificate of Let's Encrypt where there is one, or else with the self-signed one, and lets it read the
# files again when they change.
set -eu

choose() {
  for folder in "/etc/letsencrypt/live/$DOMAIN" /tls; do
    if [ -r "$folder/fullchain.pem" ]; then
      ln -sfn "$folder" /tmp/tls
      return
    fi
  done
}

# A form is a little larger than its files: 64 KiB, and 4 KiB for each file. The API's bounds are the same.
echo "client_max_body_size $((MAX_UPLOAD_BYTES + 65536));" >/tmp/upload.conf
echo "client_max_body_size $(((MAX_UPLOAD_BYTES + 4096) * MAX_BATCH_FILES + 65536));" >/tmp/batch.conf

choose
(
  seen=$(cksum </tmp/tls/fullchain.pem)
  while sleep 60; do
    choose
    now=$(cksum </tmp/tls/fullchain.pem)
    [ "$now" = "$seen" ] || nginx -s reload
    seen=$now
  done
) &
exec nginx -g 'daemon off;'
