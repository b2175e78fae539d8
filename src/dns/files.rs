//! The two files that say how names are resolved: hosts(5) and resolv.conf(5).

/// The words of a line, up to a comment.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = line.iter().position(|&byte| byte == b'#');
    line[..end.unwrap_or(line.len())]
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

fn without_dot(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

/// Gives the address of each line of hosts(5) that names the host.
pub fn hosts(text: &[u8], name: &[u8], take: &mut dyn FnMut(&[u8])) {
    let name = without_dot(name);
    for line in text.split(|&byte| byte == b'\n') {
        let mut words = words(line);
        let Some(address) = words.next() else {
            continue;
        };
        if words.any(|word| without_dot(word).eq_ignore_ascii_case(name)) {
            take(address);
        }
    }
}

/// What resolv.conf(5) says, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<'a> {
    /// An address, not checked.
    NameServer(&'a [u8]),
    /// A list of domains begins: an earlier one does not count any more.
    Search,
    /// A domain of the list.
    Domain(&'a [u8]),
    /// An option with its value, or none.
    Choice(&'a [u8], Option<u32>),
}

/// Options with values, and the least and the most that these may be.
const LIMITS: [(&[u8], u32, u32); 3] =
    [(b"ndots", 0, 15), (b"timeout", 1, 30), (b"attempts", 1, 5)];

/// Reads resolv.conf(5). Keywords begin their lines; what is not understood is
/// passed over.
pub fn resolv_conf<'a>(text: &'a [u8], take: &mut dyn FnMut(Setting<'a>)) {
    for line in text.split(|&byte| byte == b'\n') {
        if line.first().is_none_or(|byte| b" \t;#".contains(byte)) {
            continue;
        }
        let mut words = words(line).take_while(|word| word[0] != b';');
        match words.next().unwrap_or_default() {
            b"nameserver" => {
                if let Some(address) = words.next() {
                    take(Setting::NameServer(address));
                }
            }
            keyword @ (b"search" | b"domain") => {
                take(Setting::Search);
                let most = if keyword == b"domain" { 1 } else { usize::MAX };
                for word in words.take(most) {
                    let domain = without_dot(word);
                    if !domain.is_empty() {
                        take(Setting::Domain(domain));
                    }
                }
            }
            b"options" => {
                for word in words {
                    option(word, take);
                }
            }
            _ => {}
        }
    }
}

fn option<'a>(word: &'a [u8], take: &mut dyn FnMut(Setting<'a>)) {
    let colon = word.iter().position(|&byte| byte == b':');
    let (name, value) = word.split_at(colon.unwrap_or(word.len()));
    let limit = LIMITS.iter().find(|limit| limit.0 == name);
    match limit {
        None => take(Setting::Choice(name, None)),
        Some(&(_, least, most)) => {
            if let Some(value) = value.get(1..).and_then(number) {
                take(Setting::Choice(name, Some(value.clamp(least, most))));
            }
        }
    }
}

/// Digits as a number; one too large is as large as can be.
fn number(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits.iter().fold(0u32, |value, digit| {
            value
                .saturating_mul(10)
                .saturating_add(u32::from(digit - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost\n\
        \n   \n\t\n# 9.9.9.9 router\n\
        192.168.1.1\trouter.lan  Router # gateway\n\
        fd00::1 router\r\n\
        1.1.1.1 other #router\n\
        2.2.2.2\n\
        3.3.3.3 last.";

    fn found(text: &str, name: &str) -> Vec<String> {
        let mut list = Vec::new();
        hosts(text.as_bytes(), name.as_bytes(), &mut |address| {
            list.push(String::from_utf8_lossy(address).into());
        });
        list
    }

    #[test]
    fn hosts_are_found_in_order() {
        assert_eq!(found(HOSTS, "router"), ["192.168.1.1", "fd00::1"]);
        assert_eq!(found(HOSTS, "ROUTER.lan."), ["192.168.1.1"]);
        assert_eq!(found(HOSTS, "last"), ["3.3.3.3"]);
        for name in ["gateway", "", ".", "2.2.2.2", "9.9.9.9", "rout", "#"] {
            assert_eq!(found(HOSTS, name), [""; 0], "{name}");
        }
        for cut in 0..HOSTS.len() {
            assert!(found(&HOSTS[..cut], "router").len() <= 2);
        }
    }

    fn settings(text: &str) -> Vec<String> {
        let mut list = Vec::new();
        resolv_conf(text.as_bytes(), &mut |setting| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            list.push(match setting {
                Setting::NameServer(address) => text(address),
                Setting::Search => "search".into(),
                Setting::Domain(domain) => format!("+{}", text(domain)),
                Setting::Choice(name, None) => text(name),
                Setting::Choice(name, Some(value)) => format!("{}={value}", text(name)),
            });
        });
        list
    }

    #[test]
    fn settings_are_read() {
        let text = "# nameserver 1.1.1.1\n; nameserver 1.1.1.2\n nameserver 1.1.1.3\n\
            nameserver\t9.9.9.9 # quad\nnameserver fe80::1%eth0\r\nnameserver\nnameserverx 1.1.1.4\n\
            domain one.example two\nsearch\nsearch lan b.example. . ; c\n\
            options ndots:2 timeout:99 attempts:3 rotate edns0 ndots: ndots:x timeout\n\
            options single-request attempts:99999999999 timeout:0 attempts:0 ndots:0\nsortlist 1.2.3.4\nunknown";
        let expected = "9.9.9.9 fe80::1%eth0 search +one.example search search +lan +b.example \
            ndots=2 timeout=30 attempts=3 rotate edns0 single-request attempts=5 timeout=1 attempts=1 ndots=0";
        assert_eq!(settings(text).join(" "), expected);
        for cut in 0..text.len() {
            settings(&text[..cut]);
        }
    }
}
