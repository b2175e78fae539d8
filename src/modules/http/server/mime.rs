//! Content types by file suffix, kept as one text: a table of string pairs would
//! cost a relocation per entry in a shared object.

const TYPES: &[u8] = b"\
text/plain txt log lua README md cfg conf
text/html htm html
text/javascript js mjs
text/css css
text/x-patch diff patch
text/x-csrc c
text/x-chdr h
text/x-object o ko
image/bmp bmp
image/gif gif
image/png png
image/jpeg jpg jpeg
image/svg+xml svg
image/webp webp
image/x-icon ico
font/woff2 woff2
application/json json
application/javascript jsonp
application/wasm wasm
application/zip zip
application/pdf pdf
application/xml xml xsl
application/msword doc
application/vnd.ms-powerpoint ppt
application/vnd.ms-excel xls
application/vnd.oasis.opendocument.text odt
application/vnd.oasis.opendocument.presentation odp
application/x-perl pl
application/x-shellscript sh
application/x-php php
application/x-deb deb
application/x-cd-image iso
application/x-compressed-tar tgz
application/x-gzip gz
application/x-bzip-compressed-tar tbz
application/x-bzip bz2
application/x-tar tar
application/x-rar-compressed rar
audio/mpeg mp3
audio/x-vorbis+ogg ogg
audio/x-wav wav
video/mpeg mpg mpeg
video/mp4 mp4
video/x-msvideo avi
";

/// What stands behind the last dot of the file name, or the whole name.
fn suffix(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/' || byte == b'.')
        .next()
        .unwrap_or(path)
}

/// Content type for a file; case-sensitive, like the names it is made from.
pub fn content_type(path: &[u8]) -> &'static [u8] {
    let wanted = suffix(path);
    let mut name: &[u8] = b"";
    for word in TYPES.split(|byte| matches!(byte, b' ' | b'\n')) {
        if word.contains(&b'/') {
            name = word;
        } else if word == wanted && !word.is_empty() {
            return name;
        }
    }
    b"application/octet-stream"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_suffix_or_whole_name() {
        assert_eq!(content_type(b"/a/b.html"), b"text/html");
        assert_eq!(content_type(b"/README"), b"text/plain");
        assert_eq!(content_type(b"/x.tar.gz"), b"application/x-gzip");
        assert_eq!(content_type(b"/x.HTML"), b"application/octet-stream");
        assert_eq!(content_type(b"/some-html"), b"application/octet-stream");
        assert_eq!(content_type(b"/a.d/plain"), b"application/octet-stream");
        assert_eq!(content_type(b"/text/html"), b"text/html");
        assert_eq!(content_type(b""), b"application/octet-stream");
    }
}
