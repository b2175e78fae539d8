//! Compiles Mbed TLS, or finds the system's: a part of the build script.
//!
//! The sources are those of the crate `mbedtls-rs-sys`, as Cargo.lock pins it, configured by `mbedtls_config.h`. They
//! are found through `cargo metadata`; `MBEDTLS_SOURCE` names another folder that holds `include` and `library`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIBRARY: &str = "eco_tls";
const GLUE: &str = "src/tls/glue.c";
const X25519: &str = "src/tls/x25519.c";
/// In place of the library's `gcm.c`, which it includes, on x86-64.
const RECORDS: &str = "src/tls/records.c";
const CONFIG: &str = "src/tls/mbedtls_config.h";

/// The parts of the library that the configuration leaves something of.
const SOURCES: &str = "aes aesce aesni asn1parse asn1write base64 bignum bignum_core bignum_mod bignum_mod_raw block_cipher \
chacha20 chachapoly cipher cipher_wrap constant_time ecdh ecdsa ecp ecp_curves gcm hkdf md oid pem pk pk_ecc pk_wrap pkparse \
platform platform_util poly1305 psa_crypto psa_crypto_aead psa_crypto_cipher psa_crypto_client \
psa_crypto_driver_wrappers_no_static psa_crypto_ecp psa_crypto_hash psa_crypto_mac psa_crypto_rsa \
psa_crypto_slot_management psa_util rsa rsa_alt_helpers sha256 sha512 ssl_cache ssl_ciphersuites ssl_client ssl_msg \
ssl_ticket ssl_tls ssl_tls12_client ssl_tls12_server ssl_tls13_client ssl_tls13_generic ssl_tls13_keys ssl_tls13_server \
threading x509 x509_crt";

pub fn build(out: &Path) -> Result<(), String> {
    for name in ["MBEDTLS_SOURCE", "MBEDTLS_INCLUDE", "MBEDTLS_LIB"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if env::var_os("CARGO_FEATURE_SSL_SYSTEM").is_some() {
        return build_for_system(out);
    }
    let source = match env::var_os("MBEDTLS_SOURCE") {
        Some(folder) => PathBuf::from(folder),
        None => find_source(out)?,
    };
    let library = source.join("library");
    if !library.join("ssl_tls.c").exists() {
        return Err(format!("{} holds no Mbed TLS", source.display()));
    }
    let mut compiler = compiler();
    let root = env::current_dir().map_err(|error| error.to_string())?;
    let config = format!("\"{}\"", root.join(CONFIG).display());
    compiler
        .include(source.join("include"))
        .include(&library)
        .define("MBEDTLS_CONFIG_FILE", config.as_str())
        // Programs export their symbols for the sake of Lua's: none of these.
        .flag("-fvisibility=hidden")
        .warnings(false)
        .file(GLUE);
    if env::var("CARGO_CFG_TARGET_POINTER_WIDTH").as_deref() == Ok("64") {
        let everest = source.join("3rdparty/everest");
        compiler.include(everest.join("library")).file(X25519);
        for folder in ["", "everest", "everest/kremlib"] {
            compiler.include(everest.join("include").join(folder));
        }
    }
    let is_x86_64 = env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64");
    for name in SOURCES.split_ascii_whitespace() {
        if name == "gcm" && is_x86_64 {
            compiler.file(RECORDS);
        } else {
            compiler.file(library.join(name).with_extension("c"));
        }
    }
    // Every change of a Lua or Rust file runs the build script, and these are sixty C files: what an earlier run has made of
    // the same inputs stays.
    let inputs = inputs(&compiler, &source)?;
    let kept = out.join("inputs");
    if out.join(format!("lib{LIBRARY}.a")).exists()
        && std::fs::read_to_string(&kept).is_ok_and(|old| old == inputs)
    {
        println!("cargo:rustc-link-lib=static={LIBRARY}");
        println!("cargo:rustc-link-search=native={}", out.display());
        return Ok(());
    }
    compiler
        .try_compile(LIBRARY)
        .map_err(|error| format!("{error}: it needs a C compiler for this target"))?;
    keep(&kept, &inputs)
}

/// What the library is made from: the compiler with its arguments, the folder of the sources, which is another one for
/// another version, and our own files.
fn inputs(compiler: &cc::Build, source: &Path) -> Result<String, String> {
    let tool = compiler
        .try_get_compiler()
        .map_err(|error| error.to_string())?;
    let mut text = format!("{tool:?}\n{}\n", source.display());
    for path in [GLUE, X25519, RECORDS, CONFIG, "src/tls/build.rs"] {
        text += &std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(text)
}

fn keep(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Links to libmbedtls: `MBEDTLS_INCLUDE` and `MBEDTLS_LIB` say where, if the compiler does not know.
fn build_for_system(out: &Path) -> Result<(), String> {
    let mut compiler = compiler();
    if let Some(folder) = env::var_os("MBEDTLS_INCLUDE") {
        compiler.include(folder);
    }
    check_version(&compiler, out)?;
    compiler.flag("-fvisibility=hidden").file(GLUE);
    compiler
        .try_compile("eco_tls")
        .map_err(|error| format!("{error}: the system's Mbed TLS lacks something"))?;
    if let Some(folder) = env::var_os("MBEDTLS_LIB") {
        println!(
            "cargo:rustc-link-search=native={}",
            PathBuf::from(folder).display()
        );
    }
    for library in ["mbedtls", "mbedx509", "mbedcrypto"] {
        println!("cargo:rustc-link-lib={library}");
    }
    Ok(())
}

/// Refuses a library whose interface is another one, before anything is compiled.
fn check_version(compiler: &cc::Build, out: &Path) -> Result<(), String> {
    const NEEDED: &str = "eco.ssl with the system's library needs Mbed TLS 2.28 or 3";
    let probe = out.join("version.c");
    keep(
        &probe,
        "#include <mbedtls/version.h>\nversion is MBEDTLS_VERSION_MAJOR MBEDTLS_VERSION_MINOR\n",
    )?;
    let expanded = compiler.clone().file(&probe).try_expand().map_err(|_| {
        format!("{NEEDED}: a C compiler for this target, and its headers (libmbedtls-dev)")
    })?;
    let text = String::from_utf8_lossy(&expanded);
    let rest = text.split_once("version is").map_or("", |(_, rest)| rest);
    // Between them the preprocessor says where they come from.
    let mut numbers = rest
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_ascii_whitespace)
        .map_while(|word| word.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(2), Some(28)) | (Some(3), Some(_)) => Ok(()),
        (Some(major), Some(minor)) => Err(format!("{NEEDED}, and finds {major}.{minor}")),
        _ => Err(format!("{NEEDED}, and finds no version in its headers")),
    }
}

fn compiler() -> cc::Build {
    let mut compiler = cc::Build::new();
    // Arithmetic on keys is too slow for tests when it is not optimised.
    if matches!(env::var("OPT_LEVEL").as_deref(), Ok("0" | "1")) {
        compiler.opt_level(2);
    }
    compiler
}

/// Where cargo keeps the crate whose sources these are.
fn find_source(out: &Path) -> Result<PathBuf, String> {
    const CRATE: &str = "mbedtls-rs-sys-";
    let kept = out.join("mbedtls-source");
    if let Ok(folder) = std::fs::read_to_string(&kept) {
        let folder = PathBuf::from(folder);
        if folder.join("library").exists() {
            return Ok(folder);
        }
    }
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("Cargo.toml"))
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.split("\"manifest_path\":\"").skip(1).find_map(|rest| {
        let path = Path::new(rest.split('"').next()?);
        let folder = path.parent()?;
        let name = folder.file_name()?.to_str()?;
        (name.starts_with(CRATE) || name == CRATE.trim_end_matches('-'))
            .then(|| folder.join("mbedtls"))
    });
    let Some(folder) = found else {
        return Err(format!(
            "the sources of Mbed TLS are not there, run `cargo fetch` or set MBEDTLS_SOURCE: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    };
    let _ = std::fs::write(&kept, folder.display().to_string());
    Ok(folder)
}
