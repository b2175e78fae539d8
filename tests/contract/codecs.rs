//! Encodings and digests: base64, JSON, MD5, SHA-1, SHA-256, HMAC.

use crate::support::{lua_file, raw};

#[test]
fn gzip() {
    lua_file("gzip.lua").limit(120).both();
}

#[test]
fn base64() {
    lua_file("base64.lua").both();
}

#[test]
fn hash() {
    lua_file("hash.lua").limit(60).both();
}

#[test]
fn argon2() {
    lua_file("argon2.lua").limit(60).both();
}

#[test]
fn json() {
    lua_file("json.lua").limit(60).both();
}

#[test]
fn cjson_is_found_where_there_is_no_other() {
    raw(r#"
        package.cpath = package.cpath:gsub('[^;]*x86_64[^;]*', '')
        local cjson, safe = require 'cjson', require 'cjson.safe'
        print(pcall(cjson.decode, '['))
        print(safe.decode('['))
        print(cjson.encode({ cjson.decode('1') }), cjson.null == safe.null, pcall(require, 'cjson.none'))
    "#)
    .stdout_has("false\tExpected value but found the end at character 2, line 1\n")
    .stdout_has("nil\tExpected value but found the end at character 2, line 1\n")
    .stdout_has("[1]\ttrue\tfalse\t")
    .eco();
    // A Lua file stands for what another package brings: all of those come first.
    raw("package.path = './?.lua;' .. package.path print(require 'cjson')")
        .file("cjson.lua", "return 'the real one'")
        .stdout_has("the real one")
        .eco();
}

#[test]
fn without_the_package_of_json_the_error_names_it() {
    raw(r#"
        package.preload['eco.encoding.json'] = nil
        package.cpath = ''
        print(pcall(require, 'cjson'))
    "#)
    .stdout_has("(package lua-eco-json)")
    .eco();
}
