//! The functions of `glue.c`, which tells what each does.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// Types that only Mbed TLS knows.
macro_rules! opaque {
    ($($name:ident)*) => {
        $(
            #[repr(C)]
            pub struct $name {
                _private: [u8; 0],
            }
        )*
    };
}

opaque! { Chain Key Resumption Config Ssl Certificate }

/// What a call waits for; the numbers are the same in all versions.
pub const WANT_READ: c_int = -0x6900;
pub const WANT_WRITE: c_int = -0x6880;
pub const CONN_EOF: c_int = -0x7280;
pub const CLOSE_NOTIFY: c_int = -0x7880;
pub const NEW_SESSION_TICKET: c_int = -0x7b00;
pub const FATAL_ALERT: c_int = -0x7780;
pub const VERIFY_FAILED: c_int = -0x2700;
/// What our own functions give the library when the stream under it failed.
pub const STREAM_FAILED: c_int = -0x4e;

pub type Send = unsafe extern "C" fn(*mut c_void, *const u8, usize) -> c_int;
pub type Receive = unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> c_int;
pub type Choose = unsafe extern "C" fn(*mut c_void, *mut Ssl, *const u8, usize) -> c_int;
pub type Judge = unsafe extern "C" fn(*mut c_void, *mut Certificate, c_int, *mut u32) -> c_int;

unsafe extern "C" {
    pub fn eco_tls_prepare();
    pub fn eco_tls_start() -> c_int;
    pub fn eco_tls_version() -> *const c_char;
    pub fn eco_tls_has_tls13() -> c_int;

    pub fn eco_tls_chain_new() -> *mut Chain;
    pub fn eco_tls_chain_free(chain: *mut Chain);
    pub fn eco_tls_chain_add(chain: *mut Chain, data: *const u8, length: usize) -> c_int;
    pub fn eco_tls_chain_is_empty(chain: *const Chain) -> c_int;
    pub fn eco_tls_key_new() -> *mut Key;
    pub fn eco_tls_key_free(key: *mut Key);
    pub fn eco_tls_key_parse(key: *mut Key, data: *const u8, length: usize) -> c_int;
    pub fn eco_tls_key_check(chain: *mut Chain, key: *mut Key) -> c_int;

    pub fn eco_tls_resumption_new(lifetime: c_int, sessions: c_int) -> *mut Resumption;
    pub fn eco_tls_resumption_free(resumption: *mut Resumption);

    pub fn eco_tls_config_new(is_server: c_int) -> *mut Config;
    pub fn eco_tls_config_free(config: *mut Config);
    pub fn eco_tls_config_versions(config: *mut Config, lowest: c_int, highest: c_int);
    pub fn eco_tls_config_verify(config: *mut Config, level: c_int);
    pub fn eco_tls_config_authorities(config: *mut Config, chain: *mut Chain);
    pub fn eco_tls_config_identity(config: *mut Config, chain: *mut Chain, key: *mut Key) -> c_int;
    pub fn eco_tls_config_alpn(config: *mut Config, protocols: *const *const c_char) -> c_int;
    pub fn eco_tls_config_suites(config: *mut Config, suites: *const c_int);
    pub fn eco_tls_suite(name: *const c_char) -> c_int;
    pub fn eco_tls_config_resumption(config: *mut Config, resumption: *mut Resumption);
    pub fn eco_tls_config_names(config: *mut Config, choose: Choose, context: *mut c_void);

    pub fn eco_tls_new(
        config: *mut Config,
        context: *mut c_void,
        send: Send,
        receive: Receive,
    ) -> *mut Ssl;
    pub fn eco_tls_free(ssl: *mut Ssl);
    pub fn eco_tls_set_name(ssl: *mut Ssl, name: *const c_char) -> c_int;
    pub fn eco_tls_set_judge(ssl: *mut Ssl, judge: Judge, context: *mut c_void);
    pub fn eco_tls_is_for_address(
        certificate: *const Certificate,
        address: *const u8,
        length: usize,
    ) -> c_int;
    pub fn eco_tls_name_mismatch() -> c_uint;
    pub fn eco_tls_use_identity(ssl: *mut Ssl, chain: *mut Chain, key: *mut Key) -> c_int;
    pub fn eco_tls_handshake(ssl: *mut Ssl) -> c_int;
    pub fn eco_tls_read(ssl: *mut Ssl, into: *mut u8, length: usize) -> c_int;
    pub fn eco_tls_write(ssl: *mut Ssl, data: *const u8, length: usize) -> c_int;
    pub fn eco_tls_room(ssl: *const Ssl) -> c_int;
    pub fn eco_tls_flush(ssl: *mut Ssl) -> c_int;
    pub fn eco_tls_close_notify(ssl: *mut Ssl) -> c_int;
    pub fn eco_tls_verdict(ssl: *const Ssl) -> c_uint;
    pub fn eco_tls_alpn(ssl: *const Ssl) -> *const c_char;
    pub fn eco_tls_protocol(ssl: *const Ssl) -> *const c_char;
    pub fn eco_tls_cipher(ssl: *const Ssl) -> *const c_char;
    pub fn eco_tls_peer(ssl: *const Ssl, length: *mut usize) -> *const u8;
    pub fn eco_tls_peer_name(ssl: *const Ssl, into: *mut c_char, size: usize) -> c_int;
    pub fn eco_tls_session_save(
        ssl: *const Ssl,
        into: *mut u8,
        size: usize,
        length: *mut usize,
    ) -> c_int;
    pub fn eco_tls_session_load(ssl: *mut Ssl, data: *const u8, length: usize) -> c_int;
    pub fn eco_tls_alert(ssl: *const Ssl) -> c_int;
    pub fn eco_tls_reason(code: c_int) -> *const c_char;
    pub fn eco_tls_refusal(flags: c_uint) -> *const c_char;
}
