//! `eco.hash.md5`, `.sha1`, `.sha256`: one face for every digest; and
//! `eco.hash.hmac` above them. `eco.hash.argon2` is apart.
//!
//! A context is a plain value of the digest's crate: it owns no memory.

#[cfg(feature = "hash-argon2")]
pub mod argon2;
#[cfg(feature = "hash-hmac")]
pub mod hmac;

#[cfg(any(feature = "hash-md5", feature = "hash-sha1", feature = "hash-sha256"))]
pub use digests::*;

#[cfg(any(feature = "hash-md5", feature = "hash-sha1", feature = "hash-sha256"))]
mod digests {
    use std::cell::Cell;
    use std::ffi::CStr;

    use digest::Digest;

    use crate::functions;
    use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData};

    /// A digest that scripts know.
    trait Algorithm: Digest + Default + 'static {
        /// What its contexts are called; also how `eco.hash.hmac` knows it.
        const NAME: &'static CStr;
    }

    /// Opens a digest by name: type, name of its contexts, feature.
    macro_rules! digests {
        ($($feature:literal $open:ident $digest:ty = $name:literal;)*) => {
            $(
                #[cfg(feature = $feature)]
                impl Algorithm for $digest {
                    const NAME: &'static CStr = $name;
                }

                /// Opens the module. May raise.
                #[cfg(feature = $feature)]
                pub fn $open(lua: Lua) -> Outcome {
                    open::<$digest>(lua)
                }
            )*
        };
    }

    digests! {
        "hash-md5" open_md5 md5::Md5 = c"struct md5_ctx *";
        "hash-sha1" open_sha1 sha1::Sha1 = c"struct sha1_ctx *";
        "hash-sha256" open_sha256 sha2::Sha256 = c"struct sha256_ctx *";
    }

    fn open<D: Algorithm>(lua: Lua) -> Outcome {
        lua.push_module(
            const {
                functions! { sum: function(sum::<D>), new: function(new::<D>) }
            },
            std::ptr::null(),
        );
        lua.set_bytes(-1, c"mtname", D::NAME.to_bytes());
        Ok(Returns(1))
    }

    /// A digest under way.
    struct Context<D>(Cell<D>);

    impl<D: Algorithm> UserData for Context<D> {
        const NAME: &'static CStr = D::NAME;
        const METHODS: Functions = functions! {
            update: method(Context::<D>::update),
            final: method(Context::<D>::finish),
        };
    }

    impl<D: Algorithm> Context<D> {
        /// `update(data)`.
        fn update(lua: Lua, this: &Context<D>) -> Outcome {
            let data = lua.string(2)?;
            let mut digest = this.0.take();
            digest.update(data);
            this.0.set(digest);
            Ok(Returns(0))
        }

        /// `final()` -> digest; the context begins anew.
        fn finish(lua: Lua, this: &Context<D>) -> Outcome {
            lua.push_bytes(&this.0.take().finalize());
            Ok(Returns(1))
        }
    }

    /// `new()` -> context.
    fn new<D: Algorithm>(lua: Lua) -> Outcome {
        lua.reserve(0, std::ptr::null())
            .fill(Context(Cell::new(D::new())));
        Ok(Returns(1))
    }

    /// `sum(data)` -> digest.
    fn sum<D: Algorithm>(lua: Lua) -> Outcome {
        lua.push_bytes(&D::digest(lua.string(1)?));
        Ok(Returns(1))
    }
}
