//! The user database.
#![allow(unsafe_code)]

use std::ffi::{c_char, CStr};
use std::mem::MaybeUninit;

use nix::errno::Errno;

/// Room for the texts of the longest entry.
pub const ROOM: usize = 4096;

/// An entry of the user database; its texts are in the room that was given.
pub struct User<'a> {
    pub name: &'a CStr,
    pub password: &'a CStr,
    pub home: &'a CStr,
    pub shell: &'a CStr,
    pub uid: u32,
    pub gid: u32,
}

/// What the user database says of `name`; None when there is no such user.
pub fn find<'a>(name: &CStr, room: &'a mut [MaybeUninit<u8>]) -> Result<Option<User<'a>>, Errno> {
    let mut found = std::ptr::null_mut();
    // SAFETY: an all-zero entry is one; its texts go to the room, at most as
    // many bytes as it has.
    let (code, entry) = unsafe {
        let mut entry = std::mem::zeroed::<libc::passwd>();
        let texts = room.as_mut_ptr().cast();
        let code = libc::getpwnam_r(name.as_ptr(), &mut entry, texts, room.len(), &mut found);
        (code, entry)
    };
    match code {
        0 if found.is_null() => return Ok(None),
        0 => {}
        errno => return Err(Errno::from_raw(errno)),
    }
    let text = |text: *const c_char| {
        if text.is_null() {
            return c"";
        }
        // SAFETY: a text in the room, which ends with NUL.
        unsafe { CStr::from_ptr(text) }
    };
    Ok(Some(User {
        name: text(entry.pw_name),
        password: text(entry.pw_passwd),
        home: text(entry.pw_dir),
        shell: text(entry.pw_shell),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
    }))
}

/// Whether the process was started by the superuser.
pub fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}
