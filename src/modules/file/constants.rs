//! Constants of `eco.file`.

use crate::constants;
use crate::modules::constants::Constants;

pub const FILES: Constants = constants! {
    O_RDONLY O_WRONLY O_RDWR O_APPEND O_CLOEXEC O_CREAT O_DIRECTORY O_EXCL O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC O_TRUNC
    S_IRWXU S_IRUSR S_IWUSR S_IXUSR S_IRWXG S_IRGRP S_IWGRP S_IXGRP S_IRWXO S_IROTH S_IWOTH S_IXOTH S_ISUID S_ISGID
    S_ISVTX SEEK_SET SEEK_CUR SEEK_END LOCK_SH LOCK_EX LOCK_UN
};

/// Of `file.walk`.
pub const WALK: Constants = ("SKIP", &[1]);

pub const EVENTS: Constants = constants! {
    IN_ACCESS IN_MODIFY IN_ATTRIB IN_CLOSE_WRITE IN_CLOSE_NOWRITE IN_CLOSE IN_OPEN IN_MOVED_FROM IN_MOVED_TO IN_MOVE
    IN_CREATE IN_DELETE IN_DELETE_SELF IN_MOVE_SELF IN_ALL_EVENTS IN_ISDIR IN_Q_OVERFLOW
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_value() {
        for (names, values) in [FILES, WALK, EVENTS] {
            assert_eq!(names.split_whitespace().count(), values.len());
        }
    }
}
