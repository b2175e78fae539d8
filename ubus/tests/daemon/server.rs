//! Where the daemon listens, and who is let in.

use super::bus::{Bus, Folder, SOON};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use ubus::server::Server;
use ubus::Client;

#[test]
fn the_socket_is_open_to_all_and_goes_with_the_daemon() {
    let mut bus = Bus::new();
    let metadata = std::fs::metadata(bus.path()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o666);
    bus.stop();
    assert!(!bus.path().exists());
}

#[test]
fn folders_are_made() {
    let folder = Folder::new();
    let path = folder.path.join("a/b/ubus.sock");
    let server = Server::bind(&path).unwrap();
    let mode = std::fs::metadata(path.parent().unwrap())
        .unwrap()
        .permissions()
        .mode();
    // The mask of this process may take more away.
    assert_eq!(mode & 0o777 & !0o755, 0);
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_socket_nobody_listens_at_is_replaced() {
    let folder = Folder::new();
    drop(UnixListener::bind(folder.socket()).unwrap());
    assert!(folder.socket().exists());
    let _server = Server::bind(folder.socket()).unwrap();
    assert!(std::os::unix::net::UnixStream::connect(folder.socket()).is_ok());
}

#[test]
fn a_living_daemon_is_left_alone() {
    let bus = Bus::new();
    let error = Server::bind(bus.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    bus.raw().ping();
}

#[test]
fn a_file_is_left_alone() {
    let folder = Folder::new();
    std::fs::write(folder.socket(), "precious").unwrap();
    let error = Server::bind(folder.socket()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(folder.socket()).unwrap(), b"precious");
}

#[test]
fn a_socket_of_somebody_else_stays() {
    let folder = Folder::new();
    let server = Server::bind(folder.socket()).unwrap();
    std::fs::remove_file(folder.socket()).unwrap();
    let _other = UnixListener::bind(folder.socket()).unwrap();
    drop(server);
    assert!(folder.socket().exists());
}

#[test]
fn clients_find_the_end_of_the_stream_when_the_daemon_ends() {
    let mut bus = Bus::new();
    let mut raw = bus.raw();
    raw.ping();
    bus.stop();
    assert!(raw.is_hung_up());
    assert!(Client::connect(bus.path(), SOON).is_err());
}

#[test]
fn every_client_has_an_id_of_its_own() {
    let bus = Bus::new();
    let clients: Vec<_> = (0..50).map(|_| bus.raw()).collect();
    let mut ids: Vec<u32> = clients.iter().map(|client| client.id).collect();
    assert!(ids.iter().all(|id| *id >= 1024));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}
