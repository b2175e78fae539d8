//! What else needs the system: half-closed sockets, the working folder, the
//! clock, the addresses of interfaces.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{self, Shutdown};
use nix::unistd;

use crate::abi::{monotonic, Core};
use crate::lua::{Lua, Outcome, Returns};
use crate::system::socket::format_ip;

/// `shutdown(fd)` -> true: nothing more is sent.
pub fn shutdown(lua: Lua) -> Outcome {
    let result = socket::shutdown(lua.int(1)?, Shutdown::Write);
    let outcome = lua.done(result)?;
    Core::of(lua).settle(lua, outcome)
}

/// `cwd()` -> path.
pub fn cwd(lua: Lua) -> Outcome {
    match unistd::getcwd() {
        Ok(path) => {
            lua.try_push_bytes(path.as_os_str().as_encoded_bytes())?;
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `chdir(path)` -> true.
pub fn chdir(lua: Lua) -> Outcome {
    let result = unistd::chdir(lua.c_string(1)?);
    lua.done(result)
}

/// `hrtime()` -> nanoseconds.
pub fn hrtime(lua: Lua) -> Outcome {
    lua.push_integer(monotonic());
    Ok(Returns(1))
}

/// `interfaces()` -> a line for each address of IP that an interface which is up
/// has: its name, 1 or 0 for whether it is internal, and the address.
pub fn interfaces(lua: Lua) -> Outcome {
    let addresses = match getifaddrs() {
        Ok(addresses) => addresses,
        Err(errno) => return lua.fail_errno(errno),
    };
    let mut lines = Vec::new();
    for entry in addresses {
        let flags = entry.flags;
        let Some(address) = entry
            .address
            .filter(|_| flags.contains(InterfaceFlags::IFF_UP))
        else {
            continue;
        };
        let mut binary = [0; 16];
        let family = if let Some(v4) = address.as_sockaddr_in() {
            binary[..4].copy_from_slice(&v4.ip().octets());
            libc::AF_INET
        } else if let Some(v6) = address.as_sockaddr_in6() {
            binary = v6.ip().octets();
            libc::AF_INET6
        } else {
            continue;
        };
        let internal: &[u8] = if flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            b" 1 "
        } else {
            b" 0 "
        };
        format_ip(family, &binary, |text| {
            for part in [entry.interface_name.as_bytes(), internal, text, b"\n"] {
                lines.extend_from_slice(part);
            }
        });
    }
    lua.try_push_bytes(&lines)?;
    Ok(Returns(1))
}
