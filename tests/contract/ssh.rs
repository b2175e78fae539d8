//! SSH, against OpenSSH's server. Its keys are the test's own, and so is the
//! password: a file put over /etc/shadow where nobody else sees it.

use crate::support::{emulated, lua_file, raw, skip};

#[test]
fn ssh() {
    if emulated() {
        return skip("ssh.lua", "the library is another machine's");
    }
    if !nix::unistd::geteuid().is_root() || !std::path::Path::new("/usr/sbin/sshd").exists() {
        return skip("ssh.lua", "needs root and /usr/sbin/sshd");
    }
    lua_file("ssh.lua").limit(240).both();
}

/// The module says what is missing, and does not load.
#[test]
fn without_the_library_the_error_names_it() {
    if !emulated() {
        return;
    }
    raw("print(pcall(require, 'eco.ssh'))")
        .stdout_has("false\teco.ssh needs the library libssh2 (package libssh2)")
        .eco();
}
