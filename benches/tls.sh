#!/bin/sh
# TLS beside what others do in the same minute, on one certificate and suite: requests against nginx with one worker, handshakes against
# `openssl s_server`, bytes against plain TCP through the same script. ECO names the interpreter, SECONDS_EACH how long each runs.
#
#     ECO=target/dist/host/bin/eco benches/tls.sh
set -e
cd "$(dirname "$0")/.."
eco=$(realpath "${ECO:-target/dist/host/bin/eco}")
each=${SECONDS_EACH:-3}
here=$PWD/benches/lua
work=$(mktemp -d)
cp tests/tls/server.pem tests/tls/server.key tests/tls/ca.pem "$work"
cd "$work"
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$work"' EXIT
suite=TLS_AES_128_GCM_SHA256

awaits() { # port
    for _ in $(seq 100); do
        curl -sk -o /dev/null --max-time 1 "https://localhost:$1/" && return
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    exit 1
}

ratio() { # name, ours, theirs
    awk -v name="$1" -v ours="$2" -v theirs="$3" 'BEGIN { printf "%-44s %12.1f %12.1f %8.2f\n", name, ours, theirs, (theirs > 0 ? ours / theirs : 0) }'
}

cat >nginx.conf <<END
daemon off; worker_processes 1; pid $work/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
    access_log off; keepalive_requests 100000000; client_body_temp_path $work; proxy_temp_path $work; fastcgi_temp_path $work; uwsgi_temp_path $work; scgi_temp_path $work;
    server { listen 127.0.0.1:18442 ssl; ssl_certificate $work/server.pem; ssl_certificate_key $work/server.key; ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites $suite; location / { return 200 "hello\n"; } }
}
END
/usr/sbin/nginx -p "$work" -c "$work/nginx.conf" &
pids="$pids $!"
"$eco" "$here/tls_server.lua" 18443 &
pids="$pids $!"
openssl s_server -accept 18444 -cert server.pem -key server.key -ciphersuites $suite -www -quiet >/dev/null 2>&1 &
pids="$pids $!"
for port in 18442 18443 18444; do awaits $port; done

requests() { wrk -t1 -c32 -d"$each" "https://127.0.0.1:$1/" | awk '/Requests\/sec/ { print $2 }'; }
handshakes() { # port
    openssl s_time -connect localhost:"$1" -time "$each" -new -ciphersuites $suite 2>/dev/null |
        awk '/real seconds/ { for (i = 1; i <= NF; i++) if ($i == "connections") c = $(i - 1); for (i = 1; i <= NF; i++) if ($i == "real") s = $(i - 1); print c / s }'
}

printf '%-44s %12s %12s %8s\n' what here beside ratio
ratio 'HTTPS requests/s, nginx' "$(requests 18443)" "$(requests 18442)"
ratio 'full TLS 1.3 handshakes/s, s_server' "$(handshakes 18443)" "$(handshakes 18444)"
ratio 'resumed handshakes/s, full ones' "$("$eco" "$here/tls_handshakes.lua" 18443 "$each" resumed)" "$("$eco" "$here/tls_handshakes.lua" 18443 "$each")"
ratio 'MB/s through TLS, plain TCP' "$("$eco" "$here/tls_bulk.lua" tls "$each")" "$("$eco" "$here/tls_bulk.lua" plain "$each")"
