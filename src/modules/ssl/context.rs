//! A context: what clients or servers are to do. What a script sets holds for
//! the sessions made from then on; those that are there keep what they have.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use super::{is_table, session};
use crate::abi::Core;
use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::tls::{self, Chain, Config, Identity, Named, Resumption, Settings, Verify};

/// Most protocols, suites and names that one context takes.
const MOST: usize = 256;

/// The context.
pub struct Context {
    settings: RefCell<Settings>,
    /// What was made of them: for sessions that verify, and for those that do not.
    made: RefCell<[Option<Rc<Config>>; 2]>,
    /// A certificate whose key has not come.
    staged: RefCell<Option<Chain>>,
    freed: Cell<bool>,
    /// Verified even by sessions that ask for no verification.
    strict: Cell<bool>,
}

/// Certificates that are trusted, shared by contexts.
pub struct Authorities(Rc<Chain>);

impl UserData for Authorities {
    const NAME: &'static CStr = c"struct eco_ssl_authorities *";
    const METHODS: Functions = Functions::NONE;
}

/// `authorities(text)`, for `ssl.lua`: all that can be read of a PEM text, or one in DER; nil if that is none.
pub fn authorities(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let text = lua.string(1)?;
    let slot = lua.reserve::<Authorities>(0, core.pointer());
    match chain_of(text, false) {
        Some(chain) => {
            slot.fill(Authorities(Rc::new(chain)));
            Ok(Returns(1))
        }
        None => Ok(Returns(0)),
    }
}

/// `context([is_server])`
pub fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    if !tls::start() {
        return Err("new ssl context fail: the system has no random bytes yet".into());
    }
    let is_server = lua.to_bool(1);
    lua.reserve::<Context>(0, core.pointer()).fill(Context {
        settings: RefCell::new(Settings::new(is_server)),
        made: RefCell::default(),
        staged: RefCell::default(),
        freed: Cell::new(false),
        strict: Cell::new(false),
    });
    Ok(Returns(1))
}

/// Adds what a text holds to a chain; the whole of it must be good when `all`.
fn chain_of(text: &[u8], all: bool) -> Option<Chain> {
    let mut chain = Chain::new()?;
    let failed = chain.add(text)?;
    (!chain.is_vacant() && (failed == 0 || !all)).then_some(chain)
}

fn identity_of(certificate: &[u8], key: &[u8]) -> Result<Identity, &'static str> {
    chain_of(certificate, true)
        .ok_or("load cert file fail")?
        .with_key(key)
        .map_err(|_| "load key file fail")
}

impl Context {
    /// Changes the settings; sessions made from now on have them.
    fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.borrow_mut());
        self.made.take();
    }

    /// What a session needs; None when the library refuses.
    fn config(&self, insecure: bool) -> Option<Rc<Config>> {
        let insecure = insecure && !self.strict.get();
        let mut made = self.made.borrow_mut();
        let place = made.get_mut(usize::from(insecure))?;
        if place.is_none() {
            let mut settings = self.settings.borrow().clone();
            if insecure {
                settings.verify = Verify::None;
            }
            *place = Some(Rc::new(Config::new(&settings)?));
        }
        place.clone()
    }

    /// `new(fd [, insecure])` -> session
    fn new_session(lua: Lua, this: &Context) -> Outcome {
        let fd = lua.int(2)?;
        if this.freed.get() {
            return lua.fail("context closed");
        }
        let insecure = lua.to_bool(3);
        let core = Core::of(lua);
        lua.set_top(1);
        core.new_reader(lua, fd);
        core.new_writer(lua, fd);
        lua.push_nil();
        this.push_session(lua, core, insecure)
    }

    /// `wrap(reader, writer, owner, insecure)` -> session over another stream, which `owner` keeps open.
    fn wrap(lua: Lua, this: &Context) -> Outcome {
        let core = Core::of(lua);
        if core.reader_at(lua, 2).is_none() || core.writer_at(lua, 3).is_none() {
            return Err("not a stream".into());
        }
        if this.freed.get() {
            return lua.fail("context closed");
        }
        let insecure = lua.to_bool(5);
        lua.set_top(4);
        this.push_session(lua, core, insecure)
    }

    /// A session over reader, writer and owner on the stack.
    fn push_session(&self, lua: Lua, core: Core, insecure: bool) -> Outcome {
        if !tls::start() {
            return lua.fail("new ssl session fail: the system has no random bytes yet");
        }
        let session = session::push(&lua, core);
        // What is owned here is gone before anything can raise.
        let is_ready = match self.config(insecure) {
            Some(config) => session.begin(config),
            None => false,
        };
        if is_ready {
            Ok(Returns(1))
        } else {
            lua.fail("new ssl session fail")
        }
    }

    /// `free()`
    fn free(_: Lua, this: &Context) -> Outcome {
        this.freed.set(true);
        this.made.take();
        this.staged.take();
        Ok(Returns(0))
    }

    /// `is_freed()`
    fn is_freed(lua: Lua, this: &Context) -> Outcome {
        lua.push_bool(this.freed.get());
        Ok(Returns(1))
    }

    /// `set_ca(text or authorities)` -> boolean; nil for none.
    fn set_ca(lua: Lua, this: &Context) -> Outcome {
        let chain = match lua.userdata::<Authorities>(2) {
            Some(authorities) => Some(authorities.0.clone()),
            None if lua.is_none_or_nil(2) => None,
            None => match lua.bytes(2).and_then(|text| chain_of(text, false)) {
                Some(chain) => Some(Rc::new(chain)),
                None => return boolean(lua, false),
            },
        };
        this.change(|settings| settings.authorities = chain);
        boolean(lua, true)
    }

    /// `has_ca()`
    fn has_ca(lua: Lua, this: &Context) -> Outcome {
        let has = this.settings.borrow().authorities.is_some();
        boolean(lua, has)
    }

    /// `set_identity(cert, key)` -> true, or nil and a message: both or neither.
    fn set_identity(lua: Lua, this: &Context) -> Outcome {
        let result = {
            let (certificate, key) = (lua.string(2)?, lua.string(3)?);
            identity_of(certificate, key)
        };
        match result {
            Ok(identity) => {
                let identity = Rc::new(identity);
                this.change(|settings| settings.identity = Some(identity));
            }
            Err(message) => return lua.fail(message),
        }
        boolean(lua, true)
    }

    /// `add_name(name, cert, key)` -> true, or nil and a message.
    fn add_name(lua: Lua, this: &Context) -> Outcome {
        let result = {
            let (name, certificate, key) = (lua.string(2)?, lua.string(3)?, lua.string(4)?);
            if this.settings.borrow().names.len() >= MOST {
                Err("too many names")
            } else {
                identity_of(certificate, key).map(|identity| Named {
                    name: name.to_ascii_lowercase().into(),
                    identity: Rc::new(identity),
                })
            }
        };
        match result {
            Ok(named) => this.change(|settings| settings.names.push(named)),
            Err(message) => return lua.fail(message),
        }
        boolean(lua, true)
    }

    /// `set_cert(text)` -> boolean: the key comes next.
    fn set_cert(lua: Lua, this: &Context) -> Outcome {
        let text = lua.string(2)?;
        let chain = chain_of(text, true);
        let is_good = chain.is_some();
        *this.staged.borrow_mut() = chain;
        boolean(lua, is_good)
    }

    /// `set_key(text)` -> boolean: it must be that of the certificate that came before.
    fn set_key(lua: Lua, this: &Context) -> Outcome {
        let text = lua.string(2)?;
        let is_good = match this.staged.take() {
            None => false,
            Some(chain) => match chain.with_key(text) {
                Ok(identity) => {
                    let identity = Rc::new(identity);
                    this.change(|settings| settings.identity = Some(identity));
                    true
                }
                Err(chain) => {
                    *this.staged.borrow_mut() = Some(chain);
                    false
                }
            },
        };
        boolean(lua, is_good)
    }

    /// `set_alpn(list)` -> boolean
    fn set_alpn(lua: Lua, this: &Context) -> Outcome {
        let Some(names) = strings(lua, |name| (1..=255).contains(&name.len()))? else {
            return boolean(lua, false);
        };
        this.change(|settings| settings.alpn = names);
        boolean(lua, true)
    }

    /// `set_suites(list)` -> boolean: names as in the standards; unknown ones count for nothing.
    fn set_suites(lua: Lua, this: &Context) -> Outcome {
        let Some(names) = strings(lua, |_| true)? else {
            return boolean(lua, false);
        };
        let mut suites = Vec::new();
        for name in &names {
            if let Ok(name) = CStr::from_bytes_with_nul(name) {
                match tls::suite(name) {
                    0 => {}
                    number => suites.push(number),
                }
            }
        }
        drop(names);
        let is_good = !suites.is_empty();
        if is_good {
            this.change(|settings| settings.suites = suites);
        }
        boolean(lua, is_good)
    }

    /// `set_versions(lowest, highest)`: 2 for TLS 1.2, 3 for TLS 1.3.
    fn set_versions(lua: Lua, this: &Context) -> Outcome {
        let (lowest, highest) = (lua.within(2, 2, 3)?, lua.within(3, 2, 3)?);
        this.change(|settings| {
            settings.lowest = lowest as u8;
            settings.highest = highest as u8;
        });
        Ok(Returns(0))
    }

    /// `set_resumption(lifetime, sessions)` -> boolean: seconds, and how many of TLS 1.2 are kept.
    fn set_resumption(lua: Lua, this: &Context) -> Outcome {
        let lifetime = lua.within(2, 1, 604_800)?;
        let sessions = lua.within(3, 0, 100_000)?;
        let made = Resumption::new(lifetime as u32, sessions as u32);
        let is_good = made.is_some();
        let made = made.map(Rc::new);
        this.change(|settings| settings.resumption = made);
        boolean(lua, is_good)
    }

    /// `set_verify(level)`: 0 not at all, 1 what comes, 2 there must be one.
    fn set_verify(lua: Lua, this: &Context) -> Outcome {
        let level = match lua.within(2, 0, 2)? {
            0 => Verify::None,
            1 => Verify::Optional,
            _ => Verify::Required,
        };
        this.change(|settings| settings.verify = level);
        Ok(Returns(0))
    }

    /// `require_validation(boolean)`
    fn require_validation(lua: Lua, this: &Context) -> Outcome {
        let strict = lua.to_bool(2);
        let is_server = this.settings.borrow().is_server;
        this.strict.set(strict);
        this.change(|settings| {
            settings.verify = match (strict, is_server) {
                (false, _) => Verify::None,
                (true, true) => Verify::Optional,
                (true, false) => Verify::Required,
            }
        });
        Ok(Returns(0))
    }

    /// `adopt(other)`: the certificates and authorities of another context; what resumes sessions stays.
    fn adopt(lua: Lua, this: &Context) -> Outcome {
        let other = lua.expect_userdata::<Context>(2)?;
        if std::ptr::eq(this, other) {
            return Ok(Returns(0));
        }
        let new = other.settings.borrow().clone();
        this.change(|settings| {
            let resumption = settings.resumption.take();
            *settings = new;
            settings.resumption = resumption.or(settings.resumption.take());
        });
        Ok(Returns(0))
    }
}

/// The strings of the list at argument 2, each ended with NUL; None when one has a NUL or is not `good`.
fn strings(lua: Lua, good: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<Box<[u8]>>>, Error> {
    if !is_table(lua, 2) {
        return Err(Error::wrong_type(2, c"table"));
    }
    let count = lua.raw_len(2);
    if count == 0 || count > MOST {
        return Ok(None);
    }
    let mut list = Vec::new();
    for index in 1..=count {
        lua.raw_get_index(2, index as i64);
        // Never a number: converting that could raise.
        let name = lua.bytes(-1).unwrap_or(b"\0");
        if name.contains(&0) || !good(name) {
            lua.pop(1);
            return Ok(None);
        }
        let mut ended = Vec::from(name);
        ended.push(0);
        list.push(ended.into());
        lua.pop(1);
    }
    Ok(Some(list))
}

fn boolean(lua: Lua, value: bool) -> Outcome {
    lua.push_bool(value);
    Ok(Returns(1))
}

impl UserData for Context {
    const NAME: &'static CStr = c"struct eco_ssl_context *";
    const METHODS: Functions = functions! {
        new: method(Context::new_session),
        wrap: method(Context::wrap),
        free: method(Context::free),
        is_freed: method(Context::is_freed),
        set_ca: method(Context::set_ca),
        has_ca: method(Context::has_ca),
        set_identity: method(Context::set_identity),
        add_name: method(Context::add_name),
        set_cert: method(Context::set_cert),
        set_key: method(Context::set_key),
        set_alpn: method(Context::set_alpn),
        set_suites: method(Context::set_suites),
        set_versions: method(Context::set_versions),
        set_resumption: method(Context::set_resumption),
        set_verify: method(Context::set_verify),
        require_validation: method(Context::require_validation),
        adopt: method(Context::adopt),
        __close: method(Context::free),
    };
}
