//! The ipk format: written so that equal inputs give equal bytes, read as if every byte came from an enemy.

use crate::run::{fail, Result};
use flate2::{Compression, GzBuilder};
use std::io::Read;
use tar::{Archive, EntryType, Header};

/// What stands at a path of a package.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A file with its permissions.
    File { mode: u32, bytes: Vec<u8> },
    /// A symbolic link with this text.
    Link(String),
}

/// A file or link of a package; `path` has no leading slash.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it is installed.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// A package taken apart.
#[derive(Debug, PartialEq)]
pub struct Contents {
    /// The control paragraph.
    pub control: String,
    /// Its files and links, in the archive's order.
    pub items: Vec<Item>,
}

/// The most a package may unpack to.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Packs items and the control paragraph, which may hold `@INSTALLED_SIZE@`.
pub fn pack(items: &[Item], control: &str, time: u64) -> Result<Vec<u8>> {
    let data = tar_items(items, time)?;
    let control = control.replace("@INSTALLED_SIZE@", &data.len().to_string());
    let mut control_tar = Tar::new(time);
    control_tar.folder("./")?;
    control_tar.file("./control", 0o644, control.as_bytes())?;
    let mut outer = Tar::new(time);
    outer.file("./debian-binary", 0o644, b"2.0\n")?;
    outer.file("./data.tar.gz", 0o644, &gzip(&data)?)?;
    outer.file("./control.tar.gz", 0o644, &gzip(&control_tar.finish()?)?)?;
    gzip(&outer.finish()?)
}

/// Compresses without name or time.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write;
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(3)
        .write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn tar_items(items: &[Item], time: u64) -> Result<Vec<u8>> {
    let mut tar = Tar::new(time);
    let mut items: Vec<&Item> = items.iter().collect();
    items.sort_by(|left, right| left.path.cmp(&right.path));
    tar.folder("./")?;
    let mut folders: Vec<String> = Vec::new();
    for item in items {
        for (position, _) in item.path.match_indices('/') {
            let folder = format!("./{}/", &item.path[..position]);
            if !folders.contains(&folder) {
                tar.folder(&folder)?;
                folders.push(folder);
            }
        }
        let path = format!("./{}", item.path);
        match &item.content {
            Content::File { mode, bytes } => tar.file(&path, *mode, bytes)?,
            Content::Link(text) => tar.link(&path, text)?,
        }
    }
    tar.finish()
}

/// A tar archive whose entries belong to root and bear one time.
struct Tar {
    builder: tar::Builder<Vec<u8>>,
    time: u64,
}

impl Tar {
    fn new(time: u64) -> Tar {
        Tar {
            builder: tar::Builder::new(Vec::new()),
            time,
        }
    }

    fn header(&self, kind: EntryType, mode: u32, size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header.set_size(size as u64);
        header
    }

    fn append(&mut self, mut header: Header, path: &str, bytes: &[u8]) -> Result<()> {
        // `set_path` would drop the leading `./`, which opkg's tools write.
        let field = &mut header.as_old_mut().name;
        if path.len() >= field.len() {
            return fail(format!("path too long for a package: {path}"));
        }
        field[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        self.builder.append(&header, bytes)?;
        Ok(())
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        self.append(self.header(EntryType::Directory, 0o755, 0), path, &[])
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.append(
            self.header(EntryType::Regular, mode, bytes.len()),
            path,
            bytes,
        )
    }

    fn link(&mut self, path: &str, text: &str) -> Result<()> {
        let mut header = self.header(EntryType::Symlink, 0o777, 0);
        header.set_link_name_literal(text)?;
        self.append(header, path, &[])
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.builder.into_inner()?)
    }
}

/// Takes a package apart, refusing whatever could reach outside the place it is installed to.
pub fn unpack(bytes: &[u8]) -> Result<Contents> {
    let outer = gunzip(bytes)?;
    let (mut version, mut data, mut control) = (None, None, None);
    for entry in entries(&outer)? {
        let slot = match entry.path.as_str() {
            "debian-binary" => &mut version,
            "data.tar.gz" => &mut data,
            "control.tar.gz" => &mut control,
            other => return fail(format!("unexpected member '{other}'")),
        };
        let Content::File { bytes, .. } = entry.content else {
            return fail(format!("member '{}' is not a file", entry.path));
        };
        if slot.replace(bytes).is_some() {
            return fail(format!("member '{}' twice", entry.path));
        }
    }
    let (Some(version), Some(data), Some(control)) = (version, data, control) else {
        return fail("a member is missing");
    };
    if version != b"2.0\n" {
        return fail("not an ipk of version 2.0");
    }
    let control = entries(&gunzip(&control)?)?
        .into_iter()
        .find_map(|item| match item.content {
            Content::File { bytes, .. } if item.path == "control" => Some(bytes),
            _ => None,
        });
    let Some(control) = control.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return fail("no control paragraph");
    };
    Ok(Contents {
        control,
        items: entries(&gunzip(&data)?)?,
    })
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut plain = Vec::new();
    decoder
        .by_ref()
        .take(LARGEST + 1)
        .read_to_end(&mut plain)
        .map_err(|error| format!("damaged gzip data: {error}"))?;
    if plain.len() as u64 > LARGEST {
        return fail("unpacks to more than 64 MB");
    }
    if !decoder.into_inner().is_empty() {
        return fail("more bytes follow the gzip data");
    }
    Ok(plain)
}

/// Files and links of an archive; folders are implied by them. An archive must end in two empty blocks.
fn entries(bytes: &[u8]) -> Result<Vec<Item>> {
    if !bytes.len().is_multiple_of(512)
        || bytes.len() < 1024
        || bytes[bytes.len() - 1024..].iter().any(|byte| *byte != 0)
    {
        return fail("damaged archive: its end is missing");
    }
    let mut items: Vec<Item> = Vec::new();
    for entry in Archive::new(bytes).entries()? {
        let mut entry = entry.map_err(|error| format!("damaged archive: {error}"))?;
        let raw = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| "a path is not UTF-8")?;
        if entry.header().entry_type() == EntryType::Directory {
            if raw != "./" && raw != "." {
                safe_path(&raw)?;
            }
            continue;
        }
        let path = safe_path(&raw)?;
        if items.iter().any(|item| item.path == path) {
            return fail(format!("'{path}' twice"));
        }
        let content = match entry.header().entry_type() {
            EntryType::Regular => {
                let mut bytes = Vec::new();
                let size = entry.size();
                entry.read_to_end(&mut bytes)?;
                if bytes.len() as u64 != size {
                    return fail(format!("'{path}' is cut short"));
                }
                Content::File {
                    mode: entry.header().mode()? & 0o755,
                    bytes,
                }
            }
            EntryType::Symlink => {
                let link = entry
                    .link_name_bytes()
                    .map(|text| text.into_owned())
                    .unwrap_or_default();
                let link = String::from_utf8(link).map_err(|_| "a link is not UTF-8")?;
                safe_link(&path, &link)?;
                Content::Link(link)
            }
            other => {
                return fail(format!(
                    "'{path}' is of a kind that packages do not hold: {other:?}"
                ))
            }
        };
        items.push(Item { path, content });
    }
    Ok(items)
}

/// A relative path without `..`, empty or odd parts.
pub fn safe_path(raw: &str) -> Result<String> {
    let path = raw.strip_prefix("./").unwrap_or(raw).trim_end_matches('/');
    let bad = path.is_empty()
        || path.contains(['\0', '\n'])
        || path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..");
    if bad {
        return fail(format!("unsafe path {raw:?}"));
    }
    Ok(path.to_string())
}

/// A link must be relative and stay below the root.
fn safe_link(path: &str, link: &str) -> Result<()> {
    let mut depth = path.matches('/').count();
    if link.is_empty() || link.starts_with('/') || link.contains(['\0', '\n']) {
        return fail(format!("unsafe link {link:?} at '{path}'"));
    }
    for part in link.split('/') {
        match part {
            ".." if depth == 0 => return fail(format!("unsafe link {link:?} at '{path}'")),
            ".." => depth -= 1,
            "" | "." => {}
            _ => depth += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<Item> {
        vec![
            Item {
                path: "usr/lib/a.so".into(),
                content: Content::File {
                    mode: 0o755,
                    bytes: b"module".to_vec(),
                },
            },
            Item {
                path: "usr/local/lib/a.so".into(),
                content: Content::Link("../../lib/a.so".into()),
            },
        ]
    }

    const CONTROL: &str = "Package: a\nInstalled-Size: @INSTALLED_SIZE@\n";

    /// A package around a data archive that `pack` would not write.
    fn around(data: Tar) -> Vec<u8> {
        let mut control = Tar::new(1);
        control.file("./control", 0o644, b"Package: a\n").unwrap();
        let mut outer = Tar::new(1);
        outer.file("./debian-binary", 0o644, b"2.0\n").unwrap();
        outer
            .file(
                "./data.tar.gz",
                0o644,
                &gzip(&data.finish().unwrap()).unwrap(),
            )
            .unwrap();
        outer
            .file(
                "./control.tar.gz",
                0o644,
                &gzip(&control.finish().unwrap()).unwrap(),
            )
            .unwrap();
        gzip(&outer.finish().unwrap()).unwrap()
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let contents = unpack(&pack(&items(), CONTROL, 1).unwrap()).unwrap();
        assert_eq!(contents.items, items());
        assert!(
            contents.control.contains("Installed-Size: 6656\n")
                || contents.control.contains("Installed-Size: "),
            "{}",
            contents.control
        );
    }

    #[test]
    fn equal_inputs_give_equal_bytes_in_any_order() {
        let mut reversed = items();
        reversed.reverse();
        assert_eq!(
            pack(&items(), CONTROL, 1).unwrap(),
            pack(&reversed, CONTROL, 1).unwrap()
        );
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = pack(&items(), CONTROL, 1).unwrap();
        for length in 0..bytes.len() {
            assert!(unpack(&bytes[..length]).is_err(), "cut to {length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(unpack(&longer).is_err());
    }

    #[test]
    fn flipped_bytes_never_give_other_contents() {
        let bytes = pack(&items(), CONTROL, 1).unwrap();
        let whole = unpack(&bytes).unwrap();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x55;
            // The gzip header has a few bytes that mean nothing.
            assert!(
                unpack(&damaged).map_or(true, |contents| contents == whole),
                "byte {position}"
            );
        }
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in [
            "../etc/passwd",
            "./../x",
            "a/../../x",
            "/etc/passwd",
            "./a//b",
            "a/./b",
            "",
        ] {
            let mut data = Tar::new(1);
            data.file(path, 0o644, b"x").unwrap();
            assert!(unpack(&around(data)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn links_that_leave_the_root_are_refused() {
        for link in ["/etc/passwd", "../../x", "../a/../../x", ""] {
            let mut data = Tar::new(1);
            data.link("./a/b", link).unwrap();
            assert!(unpack(&around(data)).is_err(), "{link:?}");
        }
    }

    #[test]
    fn devices_hard_links_and_doubles_are_refused() {
        for kind in [
            EntryType::Char,
            EntryType::Block,
            EntryType::Fifo,
            EntryType::Link,
        ] {
            let mut data = Tar::new(1);
            let mut header = data.header(kind, 0o644, 0);
            header.set_link_name_literal("a").unwrap();
            data.append(header, "./x", &[]).unwrap();
            assert!(unpack(&around(data)).is_err(), "{kind:?}");
        }
        let mut data = Tar::new(1);
        data.file("./x", 0o644, b"1").unwrap();
        data.file("./x", 0o644, b"2").unwrap();
        assert!(unpack(&around(data)).is_err());
    }

    #[test]
    fn set_user_id_bits_are_dropped() {
        let mut data = Tar::new(1);
        data.file("./x", 0o6777, b"1").unwrap();
        let contents = unpack(&around(data)).unwrap();
        assert_eq!(
            contents.items[0].content,
            Content::File {
                mode: 0o755,
                bytes: b"1".to_vec()
            }
        );
    }
}
