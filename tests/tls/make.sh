#!/bin/sh
# Makes the certificates of the tests anew, good for a hundred years. The keys are known to everybody: they protect nothing.
set -e
cd "$(dirname "$0")"
days=36500

authority() { # file, name
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days $days -subj "/CN=$2" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null
}

leaf() { # file, name, alternative names, kind of key, more for x509
    file=$1 name=$2 names=$3 kind=$4
    shift 4
    openssl req -newkey $kind -nodes -keyout "$file.key" -out "$file.csr" -subj "/CN=$name" 2>/dev/null
    printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\n' "$names" >"$file.ext"
    openssl x509 -req -in "$file.csr" -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -extfile "$file.ext" -out "$file.pem" "$@" 2>/dev/null
    rm "$file.csr" "$file.ext"
}

P256="ec -pkeyopt ec_paramgen_curve:P-256"
authority ca "Test Authority"
authority other "localhost"
leaf server localhost DNS:localhost,IP:127.0.0.1,IP:::1 "$P256" -days $days
leaf rsa localhost DNS:localhost,DNS:rsa.example rsa:2048 -days $days
leaf www www.example.org 'DNS:www.example.org,DNS:*.example.net' "$P256" -days $days
leaf client joe DNS:joe "$P256" -days $days
leaf expired localhost DNS:localhost,IP:127.0.0.1 "$P256" -days -1
rm ca.key
