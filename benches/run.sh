#!/usr/bin/env bash
# Measures what the project promises, each figure with its yardstick beside it in the same run.
#
#   benches/run.sh              all questions, and the record under benches/runs/
#   benches/run.sh QUESTION…    some of: switch resume sleepers echo http rivals http-client sleeper-memory idle-memory resident json codecs messages uci mqtt ubus
#                               and what is not in the record: ubus-soak websocket threads luv zmq contexts sqlite postgres mariadb links (which needs root)
#
# Contender and yardstick take turns; medians of all rounds are compared, so that a drifting machine moves both.
# ECO_BIN and ECO_LIB say what is measured (default: target/dist/host); ROUNDS and LOAD_SECONDS how long. ECO_BEFORE is an
# `eco` of an earlier build: switch, resume, echo and http measure it beside.
set -euo pipefail
cd "$(dirname "$0")/.."

eco=${ECO_BIN:-$PWD/target/dist/host/bin/eco}
export LUA_CPATH="${ECO_LIB:-$PWD/target/dist/host/lib/lua/5.4}/?.so"
before=()
[ -z "${ECO_BEFORE:-}" ] || before=(env "LUA_CPATH=${ECO_BEFORE%/bin/*}/lib/lua/5.4/?.so" "$ECO_BEFORE")
rounds=${ROUNDS:-7} load_seconds=${LOAD_SECONDS:-3}
questions=("$@")
[ $# -gt 0 ] || questions=(switch resume sleepers echo http rivals http-client sleeper-memory idle-memory resident json codecs messages uci mqtt ubus)
[ -x "$eco" ] || { echo "$eco is missing: run \`cargo xtask host\` first" >&2; exit 1; }
for tool in gcc wrk lua5.4; do
    command -v $tool > /dev/null || { echo "$tool is missing: run \`cargo xtask setup\` first" >&2; exit 1; }
done

cjson="$(pkg-config --variable=INSTALL_CMOD lua5.4 2> /dev/null || echo /usr/lib/x86_64-linux-gnu/lua/5.4)/?.so"
build=${CARGO_TARGET_DIR:-$PWD/target}/bench
record=benches/runs/$(date +%Y-%m-%d)-$(uname -n)
mkdir -p "$build" "$record"
started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2> /dev/null || true; done' EXIT

# The yardsticks. The bare coroutine loop gets the very Lua sources that are inside `eco`, if they are at hand: once as
# cargo compiles those (position independent; .cargo/config.toml says how they jump), and once plain, with the C library's setjmp.
compile() { gcc "${optimise:--O2}" -Wall -o "$build/$1" "benches/c/${source:-$1}.c" "${@:2}"; }
for name in echo_server http_server echo_load hold peak spawn broadcast; do compile $name; done
# shellcheck disable=SC2012
sources=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/lua-src-*/lua-5.4* 2> /dev/null | tail -1 || true)
read -ra jumps < <(sed -n "s/^CFLAGS_$(uname -m)_unknown_linux_gnu = \"\(.*\)\"$/\1/p" .cargo/config.toml) || true
if [ -n "$sources" ]; then
    # shellcheck disable=SC2046
    set_lua() { source=switch optimise=$1 compile "$2" "${@:3}" -DLUA_USE_LINUX "-I$sources" $(ls "$sources"/*.c | grep -v -e '/lua\.c' -e '/luac\.c') -lm -ldl; }
    as_in_eco=(-fPIC -ffunction-sections -fdata-sections -fno-common -DLUA_COMPAT_5_3 "${jumps[@]}")
    set_lua -O3 switch "${as_in_eco[@]}" -rdynamic
    set_lua -O2 switch_plain
    bare_lua="Lua sources of $(basename "$sources"), gcc -O3 ${as_in_eco[*]}; plain: gcc -O2"
else
    compile switch -I/usr/include/lua5.4 -llua5.4
    cp "$build/switch" "$build/switch_plain"
    bare_lua="the distribution's liblua5.4"
fi

raw=$record/raw.tsv summary=$record/summary.tsv
if [ $# -eq 0 ]; then
    : > "$raw"
    : > "$summary"
    {
        date -u +%Y-%m-%dT%H:%M:%SZ
        uname -srm
        grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- || true
        echo "$(nproc) processors"
        "$eco" -v 2>&1
        gcc --version | head -1
        echo "bare coroutine loop: $bare_lua"
    } > "$record/machine.txt"
else
    raw=$build/raw.tsv summary=$build/summary.tsv
    : > "$raw"
    : > "$summary"
fi

median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# note NAME SIDE VALUE: one raw number.
note() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$raw"; }
values() { awk -F '\t' -v name="$1" -v side="$2" '$1 == name && $2 == side { print $3 }' "$raw"; }

# row NAME UNIT SENSE TARGET: compares the medians of `eco` and `yardstick`; SENSE is min or max.
row() {
    local ours bare ratio verdict
    ours=$(values "$1" eco | median) bare=$(values "$1" yardstick | median)
    ratio=$(awk -v a="$ours" -v b="$bare" 'BEGIN { printf "%.3f", a / b }')
    verdict=$(awk -v r="$ratio" -v t="$4" -v s="$3" 'BEGIN { print (s == "min" ? r >= t : r <= t) ? "met" : "MISSED" }')
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$ours" "$bare" "$ratio" "$3" "$4" "$verdict" >> "$summary"
    printf '%-44s %14s %14s %8s  %s %-5s %s\n' "$1 ($2)" "$ours" "$bare" "$ratio" "$3" "$4" "$verdict"
}

# earlier NAME COMMAND…: the same of the earlier build, if there is one to compare with.
earlier() { [ ${#before[@]} -eq 0 ] || note "$1, over the build before" yardstick "$("${@:2}")"; }
earlier_row() {
    [ ${#before[@]} -gt 0 ] || return 0
    values "$1" eco | while read -r value; do note "$1, over the build before" eco "$value"; done
    row "$1, over the build before" "$2" min 0.98
}

# A free port for each server.
next_port=$((20000 + RANDOM % 5000))
serve() {
    next_port=$((next_port + 1))
    port=$next_port
    "$@" $port 2> /dev/null &
    pid=$!
    started+=("$pid")
    for _ in $(seq 100); do
        (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && return
        sleep 0.05
    done
    echo "$* does not listen" >&2
    exit 1
}

# switches NAME SCRIPT TARGET: with 2 and with 10 000 coroutines.
switches() {
    local count name
    for count in 2 10000; do
        name="$1, $count coroutines"
        for _ in $(seq "$rounds"); do
            note "$name" yardstick "$("$build/switch" $count 20000000)"
            note "$name, over plain Lua" yardstick "$("$build/switch_plain" $count 20000000)"
            note "$name" eco "$("$eco" "$2" $count 20000000)"
            earlier "$name" "${before[@]}" "$2" $count 20000000
        done
        values "$name" eco | while read -r value; do note "$name, over plain Lua" eco "$value"; done
        row "$name" switches/s min "$3"
        row "$name, over plain Lua" switches/s min "$3"
        earlier_row "$name" switches/s
    done
}

ask_switch() { switches 'eco.yield()' benches/lua/yield.lua 0.80; }
ask_resume() { switches 'eco._resume()' benches/lua/resume.lua 0.50; }

# Here the yardstick is a tenth of the load itself.
ask_sleepers() {
    local name='100 000 sleepers over 10 000'
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$eco" benches/lua/sleepers.lua 10000)"
        note "$name" eco "$("$eco" benches/lua/sleepers.lua 100000)"
    done
    row "$name" 'ms of CPU' max 12
}

# One run: WebSocket echo over our own TCP echo.
ask_websocket() {
    local name='WebSocket echo over TCP echo' ours bare
    serve "$eco" benches/lua/websocket_server.lua; ours=$port
    serve "$eco" benches/lua/echo_server.lua; bare=$port
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/echo_load" $bare 64 64 "$load_seconds")"
        note "$name" eco "$("$build/echo_load" $ours 64 64 "$load_seconds" websocket)"
    done
    row "$name" 'round trips/s' min 0.6
}

ask_echo() {
    local name='TCP echo' ours bare old
    serve "$eco" benches/lua/echo_server.lua; ours=$port
    serve "$build/echo_server"; bare=$port
    [ ${#before[@]} -eq 0 ] || { serve "${before[@]}" benches/lua/echo_server.lua; old=$port; }
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/echo_load" $bare 64 64 "$load_seconds")"
        note "$name" eco "$("$build/echo_load" $ours 64 64 "$load_seconds")"
        earlier "$name" "$build/echo_load" "${old:-}" 64 64 "$load_seconds"
    done
    row "$name" 'round trips/s' min 0.90
    earlier_row "$name" 'round trips/s'
}

requests() { wrk -t1 -c64 "-d${load_seconds}s" "http://127.0.0.1:$1/" | awk '/requests in/ { count = $1 } /Requests\/sec/ { print $2, count } /Non-2xx/ { exit 1 }'; }

# Nanoseconds that a process was on a processor, in its own code and in the kernel.
on_processor() { awk '{ print $1 }' "/proc/$1/schedstat"; }

# http_load NAME SIDE PORT PID: requests a second, and what each cost the server.
http_load() {
    local start speed count
    start=$(on_processor "$4")
    read -r speed count < <(requests "$3")
    note "$1" "$2" "$speed"
    note "$1, CPU time" "$2" $((($(on_processor "$4") - start) / count))
}

ask_http() {
    local name='HTTP hello world' ours bare old ours_pid bare_pid
    serve "$eco" benches/lua/http_server.lua; ours=$port ours_pid=$pid
    serve "$build/http_server"; bare=$port bare_pid=$pid
    [ ${#before[@]} -eq 0 ] || { serve "${before[@]}" benches/lua/http_server.lua; old=$port; }
    for _ in $(seq "$rounds"); do
        http_load "$name" yardstick "$bare" "$bare_pid"
        http_load "$name" eco "$ours" "$ours_pid"
        earlier "$name" speed_alone "${old:-}"
    done
    row "$name" requests/s min 0.65
    earlier_row "$name" requests/s
    row "$name, CPU time" ns/request max 1.12
}

# nginx with one worker and what its only location says.      nginx_at LOCATION PORT
nginx_at() {
    local folder=$build/nginx modules=/usr/lib/nginx/modules
    mkdir -p "$folder"
    {
        if [[ $1 == *_by_lua* ]]; then echo "load_module $modules/ndk_http_module.so; load_module $modules/ngx_http_lua_module.so;"; fi
        echo "worker_processes 1; daemon off; pid $folder/$2.pid; error_log $folder/error.log; events { worker_connections 256; }"
        echo "http { access_log off; keepalive_requests 100000000;"
        for part in client_body proxy fastcgi uwsgi scgi; do echo "${part}_temp_path $folder/$part;"; done
        echo "server { listen 127.0.0.1:$2; location / { $1 } } }"
    } > "$folder/$2.conf"
    exec nginx -p "$folder" -c "$folder/$2.conf" -e "$folder/error.log"
}

# The client beside wrk, both at the same nginx, which has one worker.
ask_http-client() {
    local name='HTTP client, 64 requests at once'
    command -v nginx > /dev/null || { echo "nginx is missing: run \`cargo xtask setup\` first" >&2; exit 1; }
    serve nginx_at "return 200 'hello world\n';"
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$(speed_alone "$port")"
        note "$name" eco "$("$eco" benches/lua/http_client.lua "$port" "$load_seconds")"
    done
    row "$name" requests/s min 0.35
}

# What else people answer HTTP with in a script, one process each: those of them that are here.
ask_rivals() {
    local ours rival theirs
    serve "$eco" benches/lua/http_server.lua; ours=$port
    for rival in Node 'nginx with Lua'; do
        case $rival in
        Node)
            command -v node > /dev/null || continue
            serve node benches/js/http_server.js
            ;;
        *)
            [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || continue
            serve nginx_at "default_type text/plain; content_by_lua_block { ngx.say('hello world') }"
            ;;
        esac
        theirs=$port
        for _ in $(seq "$rounds"); do
            note "HTTP hello world, over $rival" yardstick "$(speed_alone "$theirs")"
            note "HTTP hello world, over $rival" eco "$(speed_alone "$ours")"
        done
        row "HTTP hello world, over $rival" requests/s min 1
    done
}

speed_alone() { requests "$1" | cut -d' ' -f1; }

# limit NAME UNIT LIMIT: a median against a fixed number instead of a yardstick.
limit() {
    note "$1" yardstick "$3"
    row "$1" "$2" max 1
}

ask_sleeper-memory() {
    local all heap
    for _ in $(seq 3); do
        read -r all heap < <("$eco" benches/lua/sleeper_memory.lua 100000)
        note 'memory of a sleeping coroutine' eco "$all"
        note 'memory of a sleeping coroutine, Lua heap alone' eco "$heap"
    done
    limit 'memory of a sleeping coroutine' bytes 1280
}

resident_pages() { awk '{ print $2 }' "/proc/$1/statm"; }

ask_idle-memory() {
    local name='memory of an idle HTTP connection' connections=5000 fresh after server
    ulimit -n 12000 2> /dev/null || true
    for _ in $(seq 3); do
        serve "$eco" benches/lua/http_server.lua; server=$pid
        # What the first requests need once is not counted.
        "$build/hold" $port 50 < /dev/null > /dev/null
        sleep 0.3
        fresh=$(resident_pages $server)
        coproc holder { "$build/hold" $port $connections; }
        read -r _ <&"${holder[0]}"
        sleep 0.3
        after=$(resident_pages $server)
        eval "exec ${holder[1]}>&-"
        wait "$holder_PID" 2> /dev/null || true
        kill $server
        note "$name" eco $(((after - fresh) * 4096 / connections))
    done
    limit "$name" bytes 6144
}

ask_resident() {
    local name="resident memory of eco -e ''"
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/peak" lua5.4 -e '')"
        note "$name" eco "$("$build/peak" "$eco" -e '')"
    done
    row "$name" KB max 1.2
}

# The same script with our module and with the distribution's lua-cjson.
ask_json() {
    local what name
    for what in decode encode; do
        name="JSON $what, 100 KB"
        for _ in $(seq "$rounds"); do
            note "$name" yardstick "$(LUA_CPATH=$cjson lua5.4 benches/lua/json.lua cjson $what 1)"
            note "$name" eco "$(lua5.4 benches/lua/json.lua eco.encoding.json $what 1)"
        done
        row "$name" MB/s min 1.0
    done
}

# What a script gets of digests and Base64, and what the crates give a program in Rust.
ask_codecs() {
    local what name
    cargo build --quiet --profile fast --package lua-eco --example codecs --features interpreter,hash-sha256
    for what in sha256 encode decode; do
        name="$what of 1 MB"
        [ $what = sha256 ] || name="base64 $name"
        for _ in $(seq "$rounds"); do
            note "$name" yardstick "$("${CARGO_TARGET_DIR:-target}/fast/examples/codecs" $what 1)"
            note "$name" eco "$(lua5.4 benches/lua/codecs.lua $what 1)"
        done
        row "$name" MB/s min 0.9
    done
}

# A table of 10 000 mixed values as a message between Lua states and back, and as Lua source and back.
ask_messages() {
    local name='10 000 values written and read'
    cargo build --quiet --profile fast --package lua-eco --example messages --features interpreter,states
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("${CARGO_TARGET_DIR:-target}/fast/examples/messages" source 1)"
        note "$name" eco "$("${CARGO_TARGET_DIR:-target}/fast/examples/messages" codec 1)"
    done
    row "$name" '/s' min 10
}

# SQLite: rows by their key, 16 coroutines on 4 connections beside 4 threads with rusqlite; and how long sleeps of
# 10 ms take while a query of 2 s runs.
ask_sqlite() {
    local name='SQLite, point selects' file=$build/sqlite.db
    rm -f "$file"
    cargo build --quiet --profile fast --package lua-eco --example sqlite --features interpreter,sqlite3
    "$eco" benches/lua/sqlite.lua "$file" 0.1 > /dev/null
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("${CARGO_TARGET_DIR:-target}/fast/examples/sqlite" "$file" 1)"
        note "$name" eco "$("$eco" benches/lua/sqlite.lua "$file" 1)"
    done
    row "$name" rows/s min 0.5
    printf 'sleeps of 10 ms while a query runs, 99th percentile: %s ms\n' "$("$eco" benches/lua/sqlite.lua "$file" latency)"
}

# PostgreSQL: rows by their key, 16 coroutines on 4 connections beside pgbench with 4, both with prepared statements.
ask_postgres() {
    local name='PostgreSQL, point selects' folder programs port=54337 as=()
    programs=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
    folder=$(mktemp -d /tmp/bench-postgres-XXXXXX)
    [ "$(id -u)" != 0 ] || { chown postgres "$folder"; as=(runuser -u postgres --); }
    "${as[@]}" "$programs/initdb" -D "$folder/data" --no-sync --no-locale -A trust -U postgres > /dev/null
    "${as[@]}" "$programs/pg_ctl" -D "$folder/data" -l "$folder/log" -w -o "-p $port -c listen_addresses= -c unix_socket_directories=$folder" start > /dev/null
    "$programs/pgbench" -h "$folder" -p $port -U postgres -i -q postgres 2> /dev/null
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$programs/pgbench" -h "$folder" -p $port -U postgres -n -S -M prepared -c 4 -j 2 -T "$load_seconds" postgres 2> /dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')"
        note "$name" eco "$("$eco" benches/lua/select.lua postgres "$folder/.s.PGSQL.$port" 4 "$load_seconds")"
    done
    "${as[@]}" "$programs/pg_ctl" -D "$folder/data" -m immediate stop > /dev/null
    rm -rf "$folder"
    row "$name" '/s' min 0.5
}

# MariaDB: the same beside a C program in as many threads, with libmariadb (Debian's libmariadb-dev).
ask_mariadb() {
    local name='MariaDB, point selects' folder pid user
    compile mariadb_select -lmariadb -lpthread
    folder=$(mktemp -d /tmp/bench-mariadb-XXXXXX)
    user=$(id -un)
    [ "$(id -u)" != 0 ] || { user=mysql; chown mysql "$folder"; }
    mariadb-install-db --no-defaults --datadir="$folder/data" --user="$user" --auth-root-authentication-method=normal --skip-test-db > /dev/null
    mariadbd --no-defaults --datadir="$folder/data" --user="$user" --skip-networking --socket="$folder/socket" --log-error="$folder/log" 2> /dev/null &
    pid=$!
    started+=("$pid")
    for _ in $(seq 100); do
        mariadb-admin --no-defaults --socket="$folder/socket" -u root ping > /dev/null 2>&1 && break
        sleep 0.1
    done
    mariadb --no-defaults --socket="$folder/socket" -u root -e 'create database bench; use bench;
        create table accounts(aid int primary key, abalance int); insert into accounts select seq, 0 from seq_1_to_100000'
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/mariadb_select" "$folder/socket" 4 "$load_seconds")"
        note "$name" eco "$("$eco" benches/lua/select.lua mysql "$folder/socket" 4 "$load_seconds")"
    done
    kill "$pid"
    wait "$pid" || true
    rm -rf "$folder"
    row "$name" '/s' min 0.5
}

# Threads: how much faster two compute than one, messages and round trips beside what Rust's own channel and bare eventfds
# do, and what a waiting one takes.
ask_threads() {
    local what unit target
    cargo build --quiet --profile fast --package lua-eco --example threads --features interpreter
    for what in messages round-trips speed memory; do
        unit=/s target=0.5
        [ $what = speed ] && unit=times target=1.9
        [ $what = memory ] && unit=B target=1
        for _ in $(seq "$rounds"); do
            case $what in
            speed) note "threads: $what" yardstick 1 ;;
            memory) note "threads: $what" yardstick 100000 ;;
            *) note "threads: $what" yardstick "$("${CARGO_TARGET_DIR:-target}/fast/examples/threads" $what)" ;;
            esac
            note "threads: $what" eco "$("$eco" benches/lua/threads.lua $what)"
        done
        if [ $what = memory ]; then row "threads: $what" $unit max $target; else row "threads: $what" $unit min $target; fi
    done
}

# Contexts of node-lua: as the threads, with a broadcast beside a bare loop of sends, and what ten thousand of them take.
ask_contexts() {
    local what unit sense target
    cargo build --quiet --profile fast --package lua-eco --example threads --features interpreter
    for what in messages round-trips speed broadcast processor memory; do
        unit=/s sense=min target=0.5
        for _ in $(seq "$rounds"); do
            case $what in
            speed) unit=times target=1.9; note "contexts: $what" yardstick 1 ;;
            processor) unit=s sense=max target=1; note "contexts: $what" yardstick 5 ;;
            memory) unit=B sense=max target=1; note "contexts: $what" yardstick 60000 ;;
            broadcast) note "contexts: $what" yardstick "$("$build/broadcast")" ;;
            *) note "contexts: $what" yardstick "$("${CARGO_TARGET_DIR:-target}/fast/examples/threads" $what)" ;;
            esac
            note "contexts: $what" eco "$(NODE_LUA_QUIET=1 NODE_LUA_API=shipped "$eco" benches/lua/contexts.lua $what)"
        done
        row "contexts: $what" $unit $sense $target
    done
}

# Luv beside the modules that it stands on.
ask_luv() {
    local name='Luv fibers, 2, over eco.yield()' ours bare
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$eco" benches/lua/yield.lua 2 20000000)"
        note "$name" eco "$("$eco" benches/lua/luv_switch.lua 2 20000000)"
    done
    row "$name" switches/s min 0.80
    name='Luv TCP echo, over eco.socket'
    serve "$eco" benches/lua/luv_echo_server.lua; ours=$port
    serve "$eco" benches/lua/echo_server.lua; bare=$port
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/echo_load" $bare 64 64 "$load_seconds")"
        note "$name" eco "$("$build/echo_load" $ours 64 64 "$load_seconds")"
    done
    row "$name" 'round trips/s' min 0.80
}

# ØMQ between two threads of Luv, and between two of C.
ask_zmq() {
    local name='ØMQ messages between threads'
    compile zmq_pair -pthread -l:libzmq.so.5
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/zmq_pair" "${MESSAGES:-2000000}")"
        note "$name" eco "$("$eco" benches/lua/luv_zmq.lua "${MESSAGES:-2000000}")"
    done
    row "$name" messages/s min 0.3
}

# A configuration of 10 000 lines: 1 000 sections with 8 options each, as the tool writes them; and a script that loads it
# and looks at every value, the whole process as well.
ask_uci() {
    local name='uci export of 10 000 lines' folder=$build/uci
    cargo build --quiet --release --package uci
    mkdir -p "$folder"
    # shellcheck disable=SC2016
    awk 'BEGIN { for (s = 1; s <= 1000; s++) { print "\nconfig rule \x27r" s "\x27"
        for (o = 1; o <= 8; o++) print "\toption option" o " \x27value " s "." o "\x27" } }' > "$folder/large"
    for _ in $(seq "$rounds"); do
        note "$name, over cat" yardstick "$("$build/spawn" 50 cat "$folder/large")"
        note "$name, over cat" eco "$("$build/spawn" 50 "${CARGO_TARGET_DIR:-target}/release/uci" -c "$folder" -t "$folder/saved" export large)"
    done
    row "$name, over cat" ms max 12
    values "$name, over cat" eco | while read -r value; do note "$name" eco "$value"; done
    limit "$name" ms 30
    name='10 000 lines of uci walked from Lua'
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$("$build/spawn" 50 "${CARGO_TARGET_DIR:-target}/release/uci" -c "$folder" -t "$folder/saved" export large)"
        note "$name" eco "$("$build/spawn" 50 "$eco" benches/lua/uci.lua "$folder" large)"
    done
    row "$name" ms max 2
}

# A thousand interfaces in a namespace of our own: told by a script, the whole process, and by the tool.
ask_links() {
    local name='1000 links to Lua tables' space=eco-bench-$$
    ip netns add "$space"
    trap 'ip netns del "$space"' RETURN
    seq 500 | sed 's/.*/link add a& type veth peer name b&/' | ip -netns "$space" -batch -
    for _ in $(seq "$rounds"); do
        note "$name" yardstick "$(ip netns exec "$space" "$build/spawn" 20 ip -j link)"
        note "$name" eco "$(ip netns exec "$space" "$build/spawn" 20 "$eco" benches/lua/links.lua 1000)"
    done
    row "$name" ms max 0.5
}

# ubus_start FILE COMMAND…: starts a program of the ubus crate and waits until its socket is there, or it says that it is ready.
ubus_start() {
    local file=$1
    shift
    "$@" > "$file.log" &
    started+=("$!")
    for _ in $(seq 200); do
        if [ -S "$file" ] || grep -qs ready "$file.log"; then return; fi
        sleep 0.02
    done
    echo "$* does not start" >&2
    exit 1
}

# Both sides are processes of their own, and the messages of both have the same lengths.
ubus_build() {
    cargo build --quiet --profile fast --package ubus --features ubusd --bin ubusd --example load
    ubus=${CARGO_TARGET_DIR:-$PWD/target}/fast
    ubus_folder=$(mktemp -d)
    ubus_socket=$ubus_folder/ubus
    ubus_start "$ubus_socket" "$ubus/ubusd" -s "$ubus_socket"
    daemon=${started[-1]}
}

ask_ubus() {
    local load pid flight name running=${#started[@]} one='ubus calls, 1 in flight' pinned='the same on one processor' many='ubus calls, 64 in flight'
    ubus_build
    load=$ubus/examples/load
    ubus_start "$ubus_folder/owner" "$load" own "$ubus_socket"
    ubus_start "$ubus_folder/answer" "$load" answer "$ubus_folder/answer"
    ubus_start "$ubus_folder/all" "$load" answer-all "$ubus_folder/all"
    for _ in $(seq "$rounds"); do
        note "$one" yardstick "$("$load" ping "$ubus_folder/answer" 1 1)"
        note "$one" eco "$("$load" call "$ubus_socket" 1 1)"
        note "$many" yardstick "$("$load" ping "$ubus_folder/answer" 64 1)"
        note "$many" eco "$("$load" call "$ubus_socket" 64 1)"
        note "$many" together "$("$load" ping "$ubus_folder/all" 64 1)"
    done
    # The same from a script to a script.
    ubus_start "$ubus_folder/script" "$eco" benches/lua/ubus_own.lua "$ubus_socket"
    for flight in 1 64; do
        name="ubus calls from Lua to Lua, $flight in flight"
        for _ in $(seq "$rounds"); do
            note "$name" yardstick "$("$load" call "$ubus_socket" $flight 1)"
            note "$name" eco "$("$eco" benches/lua/ubus_call.lua "$ubus_socket" $flight 1)"
        done
        row "$name" calls/s min 0.5
    done
    kill "${started[-1]}"
    unset 'started[-1]'
    # With one call in flight nothing runs at the same time: here nobody is moved from one processor to another meanwhile.
    for pid in "${started[@]:running}"; do taskset -cp 0 "$pid" > /dev/null; done
    for _ in $(seq "$rounds"); do
        note "$pinned" yardstick "$(taskset -c 0 "$load" ping "$ubus_folder/answer" 1 1)"
        note "$pinned" eco "$(taskset -c 0 "$load" call "$ubus_socket" 1 1)"
    done
    values "$one" yardstick | while read -r value; do note "$many, over 1" yardstick "$value"; done
    values "$many" eco | while read -r value; do note "$many, over 1" eco "$value"; done
    row "$one" calls/s min 0.25
    row "$pinned" calls/s min 0.25
    row "$many, over 1" calls/s min 0.6
    row "$many" calls/s min 0.6
    printf '(a socket that answers all messages of a read by one write: %s round trips/s)\n' "$(values "$many" together | median)"
    rm -r "$ubus_folder"
}

# Messages through one Mosquitto, from clients that take turns.
ask_mqtt() {
    local qos name
    cargo build --quiet --release --manifest-path benches/mqtt/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-$PWD/target}/yardstick"
    serve /usr/sbin/mosquitto -p
    for qos in 0 1; do
        name="MQTT messages, quality of service $qos"
        for _ in $(seq "$rounds"); do
            note "$name" yardstick "$("${CARGO_TARGET_DIR:-$PWD/target}/yardstick/release/mqtt-yardstick" "$port" $qos "${MESSAGES:-200000}")"
            note "$name" eco "$("$eco" benches/lua/mqtt.lua "$port" $qos "${MESSAGES:-200000}")"
        done
        row "$name" messages/s min 0.8
    done
}

# Calls, objects, subscriptions and clients that come and go; prints a table instead of a row.
ask_ubus-soak() {
    ubus_build
    "$ubus/examples/load" soak "$ubus_socket" "$daemon" "${CALLS:-1000000}"
    "$eco" benches/lua/ubus_soak.lua "$ubus_socket" "${CALLS:-1000000}"
    rm -r "$ubus_folder"
}

printf '%-44s %14s %14s %8s  %s\n' question eco yardstick ratio target
for question in "${questions[@]}"; do "ask_$question"; done
if [ $# -eq 0 ]; then
    lua5.4 benches/chart.lua "$summary" > docs/benchmarks.svg
    lua5.4 benches/figures.lua "$record" README.md
    echo "recorded in $record, drawn in docs/benchmarks.svg, told in README.md"
fi
