//! What a client or server is to do: authorities, identities, names, protocols.
//!
//! A configuration does not change once a connection uses it. Other settings
//! make another one; connections keep theirs.

use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::slice;

use super::ffi;

/// Owns an object of the library: type, what frees it.
macro_rules! owned {
    ($(#[$doc:meta])* $name:ident = $raw:ident, $free:ident;) => {
        $(#[$doc])*
        pub struct $name(NonNull<ffi::$raw>);

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: it is ours, made by the function beside this one.
                unsafe { ffi::$free(self.0.as_ptr()) };
            }
        }
    };
}

owned! {
    /// Certificates: those that are trusted, or one's own and its issuers.
    Chain = Chain, eco_tls_chain_free;
}
owned! {
    /// A private key.
    Key = Key, eco_tls_key_free;
}
owned! {
    /// What lets a server resume sessions: keys of tickets, and a cache.
    Resumption = Resumption, eco_tls_resumption_free;
}

/// Runs `use_it` with the text as the library wants it: PEM ends with a NUL that counts. None without memory.
fn with_text<R>(text: &[u8], use_it: impl FnOnce(&[u8]) -> R) -> Option<R> {
    if !is_pem(text) {
        return Some(use_it(text));
    }
    let mut ended = Vec::new();
    ended.try_reserve_exact(text.len() + 1).ok()?;
    ended.extend_from_slice(text);
    ended.push(0);
    let result = use_it(&ended);
    // It may be a private key.
    ended.fill(0);
    std::hint::black_box(&ended);
    Some(result)
}

/// Whether a text is PEM, or may be.
pub fn is_pem(text: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN";
    text.windows(MARK.len()).any(|window| window == MARK)
}

impl Chain {
    /// An empty one; None without memory.
    pub fn new() -> Option<Chain> {
        // SAFETY: takes nothing.
        NonNull::new(unsafe { ffi::eco_tls_chain_new() }).map(Chain)
    }

    /// Adds all certificates of a PEM text, or one in DER; gives how many could not be read; None when
    /// that is all, or memory runs out.
    pub fn add(&mut self, text: &[u8]) -> Option<usize> {
        let result = with_text(text, |text| {
            // SAFETY: the library reads that many bytes.
            unsafe { ffi::eco_tls_chain_add(self.0.as_ptr(), text.as_ptr(), text.len()) }
        });
        usize::try_from(result?).ok()
    }

    /// Whether it holds no certificate.
    pub fn is_vacant(&self) -> bool {
        // SAFETY: a live chain.
        unsafe { ffi::eco_tls_chain_is_empty(self.0.as_ptr()) != 0 }
    }

    /// Makes an identity of it, with a PEM or DER key that belongs to its first certificate.
    pub fn with_key(self, text: &[u8]) -> Result<Identity, Chain> {
        // SAFETY: takes nothing.
        let Some(key) = NonNull::new(unsafe { ffi::eco_tls_key_new() }).map(Key) else {
            return Err(self);
        };
        let is_good = with_text(text, |text| {
            // SAFETY: the library reads that many bytes; both objects are live and ours.
            unsafe {
                ffi::eco_tls_key_parse(key.0.as_ptr(), text.as_ptr(), text.len()) == 0
                    && ffi::eco_tls_key_check(self.0.as_ptr(), key.0.as_ptr()) == 0
            }
        });
        if is_good == Some(true) {
            Ok(Identity { chain: self, key })
        } else {
            Err(self)
        }
    }
}

/// A certificate, its issuers, and its key.
pub struct Identity {
    chain: Chain,
    key: Key,
}

impl Resumption {
    /// Sessions may be resumed for `lifetime` seconds; `sessions` of TLS 1.2 are kept.
    pub fn new(lifetime: u32, sessions: u32) -> Option<Resumption> {
        let lifetime = lifetime.min(i32::MAX as u32) as c_int;
        let sessions = sessions.min(i32::MAX as u32) as c_int;
        // SAFETY: takes numbers only.
        NonNull::new(unsafe { ffi::eco_tls_resumption_new(lifetime, sessions) }).map(Resumption)
    }
}

/// How the peer's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Not at all.
    None,
    /// One that comes must be good.
    Optional,
    /// One must come, and be good.
    Required,
}

/// An identity for a name that clients ask for.
#[derive(Clone)]
pub struct Named {
    /// In lower case; `*.` in front stands for any one label.
    pub name: Box<[u8]>,
    pub identity: Rc<Identity>,
}

/// What is asked of a configuration.
#[derive(Clone)]
pub struct Settings {
    pub is_server: bool,
    pub verify: Verify,
    pub authorities: Option<Rc<Chain>>,
    pub identity: Option<Rc<Identity>>,
    pub names: Vec<Named>,
    /// Protocols in the order of preference, each ending with NUL.
    pub alpn: Vec<Box<[u8]>>,
    /// Numbers of suites in the order of preference; empty for the library's.
    pub suites: Vec<c_int>,
    pub resumption: Option<Rc<Resumption>>,
    /// 2 or 3: TLS 1.2 or 1.3.
    pub lowest: u8,
    pub highest: u8,
}

impl Settings {
    pub fn new(is_server: bool) -> Settings {
        Settings {
            is_server,
            verify: if is_server {
                Verify::None
            } else {
                Verify::Required
            },
            authorities: None,
            identity: None,
            names: Vec::new(),
            alpn: Vec::new(),
            suites: Vec::new(),
            resumption: None,
            lowest: 2,
            highest: 3,
        }
    }
}

/// What the library makes of settings.
pub struct Config {
    raw: NonNull<ffi::Config>,
    /// What the library points into.
    kept: Box<Kept>,
}

struct Kept {
    settings: Settings,
    alpn: Vec<*const c_char>,
    suites: Vec<c_int>,
}

impl Config {
    /// None when memory runs out, or a list is not acceptable.
    pub fn new(settings: &Settings) -> Option<Config> {
        let settings = settings.clone();
        let mut alpn = Vec::new();
        if !settings.alpn.is_empty() {
            alpn.extend(settings.alpn.iter().map(|name| name.as_ptr().cast()));
            alpn.push(ptr::null());
        }
        let mut suites = settings.suites.clone();
        if !suites.is_empty() {
            suites.push(0);
        }
        let kept = Box::new(Kept {
            settings,
            alpn,
            suites,
        });
        let wanted = &kept.settings;
        // SAFETY: takes a number.
        let raw = NonNull::new(unsafe { ffi::eco_tls_config_new(wanted.is_server.into()) })?;
        let config = Config { raw, kept };
        let wanted = &config.kept.settings;
        let raw = raw.as_ptr();
        // SAFETY: the configuration is live; all it is given lives in `kept`, which it owns: counted
        // references, and lists in memory of their own, ended as the library wants them.
        unsafe {
            ffi::eco_tls_config_verify(raw, wanted.verify as c_int);
            ffi::eco_tls_config_versions(raw, wanted.lowest.into(), wanted.highest.into());
            if let Some(chain) = &wanted.authorities {
                ffi::eco_tls_config_authorities(raw, chain.0.as_ptr());
            }
            if let Some(identity) = &wanted.identity {
                let (chain, key) = (identity.chain.0, identity.key.0);
                if ffi::eco_tls_config_identity(raw, chain.as_ptr(), key.as_ptr()) != 0 {
                    return None;
                }
            }
            if !config.kept.alpn.is_empty()
                && ffi::eco_tls_config_alpn(raw, config.kept.alpn.as_ptr()) != 0
            {
                return None;
            }
            if !config.kept.suites.is_empty() {
                ffi::eco_tls_config_suites(raw, config.kept.suites.as_ptr());
            }
            if let Some(resumption) = &wanted.resumption {
                ffi::eco_tls_config_resumption(raw, resumption.0.as_ptr());
            }
            if !wanted.names.is_empty() {
                let context = ptr::from_ref(&*config.kept).cast_mut().cast();
                ffi::eco_tls_config_names(raw, choose, context);
            }
        }
        Some(config)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::Config {
        self.raw.as_ptr()
    }

    pub fn settings(&self) -> &Settings {
        &self.kept.settings
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: it is ours; connections that use it hold a counted reference.
        unsafe { ffi::eco_tls_config_free(self.raw.as_ptr()) };
    }
}

/// The number of a suite by the name that standards give it; 0 for none.
pub fn suite(name: &CStr) -> c_int {
    // SAFETY: a C string.
    unsafe { ffi::eco_tls_suite(name.as_ptr()) }
}

/// The identity for a name: a name itself comes before one with `*`.
pub fn find<'a>(names: &'a [Named], wanted: &[u8]) -> Option<&'a Named> {
    let wanted = wanted.strip_suffix(b".").unwrap_or(wanted);
    let exact = names
        .iter()
        .find(|named| named.name.eq_ignore_ascii_case(wanted));
    exact.or_else(|| {
        let dot = wanted.iter().position(|&byte| byte == b'.')?;
        let rest = wanted.get(dot..).filter(|_| dot > 0)?;
        names.iter().find(|named| {
            let pattern = named.name.strip_prefix(b"*");
            pattern.is_some_and(|pattern| pattern.eq_ignore_ascii_case(rest))
        })
    })
}

/// Chooses a server's identity; that of the configuration stays for unknown names.
unsafe extern "C" fn choose(
    context: *mut c_void,
    ssl: *mut ffi::Ssl,
    name: *const u8,
    length: usize,
) -> c_int {
    // SAFETY: the context is the `Kept` of a live configuration; the library passes the name's bytes.
    let (kept, name) = unsafe {
        let name = if length == 0 {
            &[]
        } else {
            slice::from_raw_parts(name, length)
        };
        (&*context.cast::<Kept>(), name)
    };
    match find(&kept.settings.names, name) {
        // SAFETY: the identity lives as long as the configuration, and that as long as the connection.
        Some(Named { identity, .. }) => unsafe {
            ffi::eco_tls_use_identity(ssl, identity.chain.0.as_ptr(), identity.key.0.as_ptr())
        },
        None if kept.settings.identity.is_some() => 0,
        None => -1,
    }
}
