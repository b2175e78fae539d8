//! Peers that misbehave, and descriptors that run out.

use crate::support::{lua, lua_file};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// A peer of the script: accepts one connection and treats it as `behaviour` says.
fn peer<T: Send + 'static>(
    behaviour: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a time limit");
        behaviour(stream)
    });
    (port, thread)
}

const CONNECT: &str = "
    local eco, socket = require 'eco', require 'eco.socket'
    local client<close> = assert(socket.connect_tcp('127.0.0.1', tonumber(os.getenv('PORT'))))
";

fn with_peer(port: &str, script: &str) {
    lua(&format!("{CONNECT}{script}")).env("PORT", port).eco();
}

#[test]
fn a_half_closed_peer_still_listens() {
    let (port, thread) = peer(|mut stream| {
        stream.write_all(b"bye").expect("sent");
        stream.shutdown(Shutdown::Write).expect("half closed");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("the rest");
        rest
    });
    with_peer(
        &port,
        "T.eq(client:read('a', 20), 'bye')
         T.fails('closed', client:read(1))
         T.eq(client:send('after your end'), 14)
         eco.sleep(0.01)
         T.eq(client:send(', again'), 7)",
    );
    assert_eq!(thread.join().expect("the peer"), "after your end, again");
}

#[test]
fn a_half_closed_peer_reads_a_large_answer() {
    let (port, thread) = peer(|mut stream| {
        stream.write_all(b"question").expect("sent");
        stream.shutdown(Shutdown::Write).expect("half closed");
        std::thread::sleep(Duration::from_millis(50));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the rest");
        rest.len()
    });
    with_peer(
        &port,
        "T.eq(client:read('a', 20), 'question')
         T.eq(client:send(('x'):rep(8000000), 30), 8000000)",
    );
    assert_eq!(thread.join().expect("the peer"), 8_000_000);
}

#[test]
fn a_peer_that_vanishes_in_the_middle_of_a_write() {
    let (port, thread) = peer(|mut stream| {
        let mut some = [0; 1000];
        let _ = stream.read(&mut some);
        // Unread data makes this a reset.
        drop(stream);
    });
    with_peer(
        &port,
        "local sent, message = client:send(('x'):rep(50000000), 20)
         T.eq(sent, nil)
         assert(message == 'Connection reset by peer' or message == 'Broken pipe', message)
         sent, message = client:send('more')
         T.eq(sent, nil)
         assert(message == 'Connection reset by peer' or message == 'Broken pipe', message)",
    );
    thread.join().expect("the peer");
}

#[test]
fn a_peer_that_vanishes_while_both_directions_wait() {
    let (port, thread) = peer(|mut stream| {
        let mut some = [0; 1000];
        let _ = stream.read(&mut some);
        std::thread::sleep(Duration::from_millis(50));
        drop(stream);
    });
    with_peer(
        &port,
        "local reading, writing
         T.all(function() reading = table.pack(client:read(1, 20)) end,
               function() writing = table.pack(client:send(('x'):rep(50000000), 20)) end)
         T.eq(reading[1], nil)
         T.eq(writing[1], nil)
         assert(reading[2] ~= 'timeout' and writing[2] ~= 'timeout', reading[2] .. writing[2])",
    );
    thread.join().expect("the peer");
}

#[test]
fn a_slow_reader_gets_everything() {
    let (port, thread) = peer(|mut stream| {
        let mut total = 0;
        let mut some = vec![0; 200_000];
        loop {
            let count = stream.read(&mut some).expect("data");
            if count == 0 {
                return total;
            }
            total += count;
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    with_peer(
        &port,
        "local ticks, done = 0, false
         local size = 16 * 1024 * 1024
         T.all(function() T.eq(client:send(('x'):rep(size), 20), size) done = true end,
               function() while not done do ticks = ticks + 1 eco.sleep(0.001) end end)
         assert(T.emulated or ticks > 5, ticks)",
    );
    assert_eq!(thread.join().expect("the peer"), 16 * 1024 * 1024);
}

#[test]
fn a_slow_reader_gets_a_whole_file() {
    let (port, thread) = peer(|mut stream| {
        std::thread::sleep(Duration::from_millis(50));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the file");
        bytes.len() == 6_000_000
            && bytes
                .iter()
                .enumerate()
                .all(|(at, byte)| *byte == b'0' + (at % 10) as u8)
    });
    with_peer(
        &port,
        "require 'eco.file'.writefile(T.path('big'), ('0123456789'):rep(600000))
         T.eq(client:sendfile(T.path('big'), nil, 0, 20), 6000000)",
    );
    assert!(thread.join().expect("the peer"));
}

#[test]
fn a_trickling_writer() {
    let (port, thread) = peer(|mut stream| {
        stream.set_nodelay(true).expect("no delay");
        for byte in b"first line\r\nsecond--third" {
            stream.write_all(&[*byte]).expect("sent");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    with_peer(
        &port,
        "T.eq(client:read('l', 20), 'first line')
         local text = ''
         repeat
             local chunk, found = assert(client:readuntil('--', 20))
             text = text .. chunk
         until found
         T.eq(text, 'second')
         T.eq(client:read('a', 20), 'third')",
    );
    thread.join().expect("the peer");
}

#[test]
fn descriptors_run_out() {
    lua_file("exhaustion.lua").descriptors(60).limit(60).both();
}
