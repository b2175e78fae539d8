/* The face of Mbed TLS that Rust sees: objects whose sizes and fields only the library's own headers know, so that one
 * source serves Mbed TLS 3.6 inside, and a router's libmbedtls from 2.28 on. No policy lives here.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include <stdlib.h>
#include <string.h>

#include <mbedtls/version.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <mbedtls/build_info.h>
#else
#include <mbedtls/config.h>
#endif
#include <mbedtls/aes.h>
#include <mbedtls/error.h>
#include <mbedtls/platform.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#if defined(MBEDTLS_SSL_PROTO_TLS1_3) && MBEDTLS_VERSION_NUMBER >= 0x03040000
#define WITH_TLS_1_3
#include <psa/crypto.h>
#endif

/* Fills a buffer with random bytes; not 0 when the system has none. */
int eco_tls_random(void *context, unsigned char *into, size_t length);

#if defined(WITH_TLS_1_3) && defined(MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG)
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *into, size_t size, size_t *length);

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context, uint8_t *into, size_t size, size_t *length)
{
    (void) context;
    *length = 0;
    if (eco_tls_random(NULL, into, size) != 0)
        return PSA_ERROR_INSUFFICIENT_ENTROPY;
    *length = size;
    return PSA_SUCCESS;
}
#endif

/* Makes what the library keeps for the whole process; once, before all else. */
void eco_tls_prepare(void)
{
    /* Tables of AES that are made at first use. */
    static const unsigned char key[16];
    mbedtls_aes_context context;
    mbedtls_aes_init(&context);
    (void) mbedtls_aes_setkey_enc(&context, key, 128);
    mbedtls_aes_free(&context);
}

/* Starts PSA; any number of times, from any thread. */
int eco_tls_start(void)
{
#if defined(WITH_TLS_1_3)
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
#else
    return 0;
#endif
}

/* The version of the library's headers. */
const char *eco_tls_version(void)
{
    return MBEDTLS_VERSION_STRING_FULL;
}

/* ---- certificates ------------------------------------------------------------------------------------------------ */

mbedtls_x509_crt *eco_tls_chain_new(void)
{
    mbedtls_x509_crt *chain = mbedtls_calloc(1, sizeof *chain);
    if (chain)
        mbedtls_x509_crt_init(chain);
    return chain;
}

void eco_tls_chain_free(mbedtls_x509_crt *chain)
{
    mbedtls_x509_crt_free(chain);
    mbedtls_free(chain);
}

/* PEM texts count their NUL. Negative for an error, else how many could not be read. */
int eco_tls_chain_add(mbedtls_x509_crt *chain, const unsigned char *data, size_t length)
{
    return mbedtls_x509_crt_parse(chain, data, length);
}

int eco_tls_chain_is_empty(const mbedtls_x509_crt *chain)
{
    return chain->raw.len == 0;
}

mbedtls_pk_context *eco_tls_key_new(void)
{
    mbedtls_pk_context *key = mbedtls_calloc(1, sizeof *key);
    if (key)
        mbedtls_pk_init(key);
    return key;
}

void eco_tls_key_free(mbedtls_pk_context *key)
{
    mbedtls_pk_free(key);
    mbedtls_free(key);
}

int eco_tls_key_parse(mbedtls_pk_context *key, const unsigned char *data, size_t length)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key, data, length, NULL, 0, eco_tls_random, NULL);
#else
    return mbedtls_pk_parse_key(key, data, length, NULL, 0);
#endif
}

/* Whether a key is that of the first certificate: 0 if it is. */
int eco_tls_key_check(mbedtls_x509_crt *chain, mbedtls_pk_context *key)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&chain->pk, key, eco_tls_random, NULL);
#else
    return mbedtls_pk_check_pair(&chain->pk, key);
#endif
}

/* ---- resumption -------------------------------------------------------------------------------------------------- */

struct resumption {
    mbedtls_ssl_ticket_context tickets;
    mbedtls_ssl_cache_context cache;
};

void eco_tls_resumption_free(struct resumption *resumption)
{
    mbedtls_ssl_ticket_free(&resumption->tickets);
    mbedtls_ssl_cache_free(&resumption->cache);
    mbedtls_free(resumption);
}

/* What a server remembers clients by: keys of tickets, which change, and the last sessions of TLS 1.2. */
struct resumption *eco_tls_resumption_new(int lifetime, int sessions)
{
    struct resumption *resumption = mbedtls_calloc(1, sizeof *resumption);
    if (!resumption)
        return NULL;
    mbedtls_ssl_ticket_init(&resumption->tickets);
    mbedtls_ssl_cache_init(&resumption->cache);
    mbedtls_ssl_cache_set_timeout(&resumption->cache, lifetime);
    mbedtls_ssl_cache_set_max_entries(&resumption->cache, sessions);
    if (mbedtls_ssl_ticket_setup(&resumption->tickets, eco_tls_random, NULL, MBEDTLS_CIPHER_AES_256_GCM, (uint32_t) lifetime) != 0) {
        eco_tls_resumption_free(resumption);
        return NULL;
    }
    return resumption;
}

/* ---- configuration ----------------------------------------------------------------------------------------------- */

void eco_tls_config_free(mbedtls_ssl_config *config)
{
    mbedtls_ssl_config_free(config);
    mbedtls_free(config);
}

mbedtls_ssl_config *eco_tls_config_new(int is_server)
{
    mbedtls_ssl_config *config = mbedtls_calloc(1, sizeof *config);
    if (!config)
        return NULL;
    mbedtls_ssl_config_init(config);
    if (mbedtls_ssl_config_defaults(config, is_server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
            MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        eco_tls_config_free(config);
        return NULL;
    }
    mbedtls_ssl_conf_rng(config, eco_tls_random, NULL);
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
#if defined(MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED) && defined(MBEDTLS_SSL_CLI_C) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(config, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
#endif
    return config;
}

/* The highest version to speak: 2 or 3, for TLS 1.2 or 1.3; likewise the lowest. */
void eco_tls_config_versions(mbedtls_ssl_config *config, int lowest, int highest)
{
#if defined(WITH_TLS_1_3)
    mbedtls_ssl_conf_min_tls_version(config, lowest > 2 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config, highest < 3 ? MBEDTLS_SSL_VERSION_TLS1_2 : MBEDTLS_SSL_VERSION_TLS1_3);
#else
    (void) config;
    (void) lowest;
    (void) highest;
#endif
}

int eco_tls_has_tls13(void)
{
#if defined(WITH_TLS_1_3)
    return 1;
#else
    return 0;
#endif
}

/* 0: the peer's certificate is not looked at; 1: it is verified if there is one; 2: it must be there, too. */
void eco_tls_config_verify(mbedtls_ssl_config *config, int level)
{
    mbedtls_ssl_conf_authmode(config, level == 0 ? MBEDTLS_SSL_VERIFY_NONE : level == 1 ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_REQUIRED);
}

void eco_tls_config_authorities(mbedtls_ssl_config *config, mbedtls_x509_crt *chain)
{
    mbedtls_ssl_conf_ca_chain(config, chain, NULL);
}

int eco_tls_config_identity(mbedtls_ssl_config *config, mbedtls_x509_crt *chain, mbedtls_pk_context *key)
{
    return mbedtls_ssl_conf_own_cert(config, chain, key);
}

/* The list ends with NULL and is kept by the caller. */
int eco_tls_config_alpn(mbedtls_ssl_config *config, const char **protocols)
{
    return mbedtls_ssl_conf_alpn_protocols(config, protocols);
}

/* The list ends with 0 and is kept by the caller. */
void eco_tls_config_suites(mbedtls_ssl_config *config, const int *suites)
{
    mbedtls_ssl_conf_ciphersuites(config, suites);
}

int eco_tls_suite(const char *name)
{
    return mbedtls_ssl_get_ciphersuite_id(name);
}

void eco_tls_config_resumption(mbedtls_ssl_config *config, struct resumption *resumption)
{
    mbedtls_ssl_conf_session_tickets_cb(config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &resumption->tickets);
    mbedtls_ssl_conf_session_cache(config, &resumption->cache, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
}

void eco_tls_config_names(mbedtls_ssl_config *config, int (*choose)(void *, mbedtls_ssl_context *, const unsigned char *, size_t), void *context)
{
    mbedtls_ssl_conf_sni(config, choose, context);
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

void eco_tls_free(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_free(ssl);
    mbedtls_free(ssl);
}

mbedtls_ssl_context *eco_tls_new(mbedtls_ssl_config *config, void *context, mbedtls_ssl_send_t *send, mbedtls_ssl_recv_t *receive)
{
    mbedtls_ssl_context *ssl = mbedtls_calloc(1, sizeof *ssl);
    if (!ssl)
        return NULL;
    mbedtls_ssl_init(ssl);
    if (mbedtls_ssl_setup(ssl, config) != 0) {
        eco_tls_free(ssl);
        return NULL;
    }
    mbedtls_ssl_set_bio(ssl, context, send, receive, NULL);
    return ssl;
}

/* For SNI, and to be found in the certificate; NULL for neither. */
int eco_tls_set_name(mbedtls_ssl_context *ssl, const char *name)
{
    return mbedtls_ssl_set_hostname(ssl, name);
}

/* For this connection alone: what every certificate of the peer's is shown to. */
void eco_tls_set_judge(mbedtls_ssl_context *ssl, int (*judge)(void *, mbedtls_x509_crt *, int, uint32_t *), void *context)
{
    mbedtls_ssl_set_verify(ssl, judge, context);
}

/* Whether a certificate is for an address of 4 or 16 bytes. */
int eco_tls_is_for_address(const mbedtls_x509_crt *certificate, const unsigned char *address, size_t length)
{
    const mbedtls_x509_sequence *name;
    for (name = &certificate->subject_alt_names; name && name->buf.p; name = name->next)
        if ((name->buf.tag & 0x1f) == 7 && name->buf.len == length && memcmp(name->buf.p, address, length) == 0)
            return 1;
    return 0;
}

unsigned int eco_tls_name_mismatch(void)
{
    return MBEDTLS_X509_BADCERT_CN_MISMATCH;
}

/* During the handshake, from the function that chooses by name. */
int eco_tls_use_identity(mbedtls_ssl_context *ssl, mbedtls_x509_crt *chain, mbedtls_pk_context *key)
{
    return mbedtls_ssl_set_hs_own_cert(ssl, chain, key);
}

int eco_tls_handshake(mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_handshake(ssl);
}

int eco_tls_read(mbedtls_ssl_context *ssl, unsigned char *into, size_t length)
{
    return mbedtls_ssl_read(ssl, into, length);
}

int eco_tls_write(mbedtls_ssl_context *ssl, const unsigned char *data, size_t length)
{
    return mbedtls_ssl_write(ssl, data, length);
}

/* The most that one record holds. */
int eco_tls_room(const mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_get_max_out_record_payload(ssl);
}

/* Sends what is left of the last record: 0 when nothing is left. */
int eco_tls_flush(mbedtls_ssl_context *ssl)
{
    return ssl->out_left ? mbedtls_ssl_write(ssl, (const unsigned char *) "", 0) : 0;
}

int eco_tls_close_notify(mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_close_notify(ssl);
}

unsigned int eco_tls_verdict(const mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_get_verify_result(ssl);
}

const char *eco_tls_alpn(const mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_get_alpn_protocol(ssl);
}

const char *eco_tls_protocol(const mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_get_version(ssl);
}

const char *eco_tls_cipher(const mbedtls_ssl_context *ssl)
{
    return mbedtls_ssl_get_ciphersuite(ssl);
}

/* The peer's certificate as it came, NULL for none. */
const unsigned char *eco_tls_peer(const mbedtls_ssl_context *ssl, size_t *length)
{
    const mbedtls_x509_crt *certificate = mbedtls_ssl_get_peer_cert(ssl);
    *length = certificate ? certificate->raw.len : 0;
    return certificate ? certificate->raw.p : NULL;
}

/* The peer's name in its certificate, as text; a negative error, else its length. */
int eco_tls_peer_name(const mbedtls_ssl_context *ssl, char *into, size_t size)
{
    const mbedtls_x509_crt *certificate = mbedtls_ssl_get_peer_cert(ssl);
    return certificate ? mbedtls_x509_dn_gets(into, size, &certificate->subject) : 0;
}

/* What resumes the session later: how many bytes, or a negative error. */
int eco_tls_session_save(const mbedtls_ssl_context *ssl, unsigned char *into, size_t size, size_t *length)
{
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    int result = mbedtls_ssl_get_session(ssl, &session);
    if (result == 0)
        result = mbedtls_ssl_session_save(&session, into, size, length);
    mbedtls_ssl_session_free(&session);
    return result;
}

int eco_tls_session_load(mbedtls_ssl_context *ssl, const unsigned char *data, size_t length)
{
    mbedtls_ssl_session session;
    mbedtls_ssl_session_init(&session);
    int result = mbedtls_ssl_session_load(&session, data, length);
    if (result == 0)
        result = mbedtls_ssl_set_session(ssl, &session);
    mbedtls_ssl_session_free(&session);
    return result;
}

/* The number of the alert that ended a handshake with `MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE`. */
int eco_tls_alert(const mbedtls_ssl_context *ssl)
{
    return ssl->in_msg ? ssl->in_msg[1] : 0;
}

/* ---- what went wrong --------------------------------------------------------------------------------------------- */

const char *eco_tls_reason(int code)
{
    switch (code) {
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return "unexpected eof";
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        return "alert";
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return "wrong version number or invalid record";
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        return "bad record mac";
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
        return "unexpected message";
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return "peer did not return a certificate";
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    case MBEDTLS_ERR_SSL_DECODE_ERROR:
    case MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER:
#else
    case MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO:
    case MBEDTLS_ERR_SSL_BAD_HS_SERVER_HELLO:
    case MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE:
    case MBEDTLS_ERR_SSL_BAD_HS_SERVER_KEY_EXCHANGE:
    case MBEDTLS_ERR_SSL_BAD_HS_CLIENT_KEY_EXCHANGE:
    case MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_VERIFY:
    case MBEDTLS_ERR_SSL_BAD_HS_FINISHED:
#endif
        return "bad handshake message";
#if defined(MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME)
    case MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME:
        return "unrecognized name";
#endif
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
        return "not enough memory";
#if defined(MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE)
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        return "handshake failure: no shared cipher";
#endif
#if defined(MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION)
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        return "unsupported protocol";
#elif defined(MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION)
    case MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION:
        return "unsupported protocol";
#endif
#if defined(MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN)
    case MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN:
        return "no shared cipher";
#endif
#if defined(MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE)
    case MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE:
        return "no shared cipher";
#endif
#if defined(MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL)
    case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
        return "no application protocol";
#endif
#if defined(MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED)
    case MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED:
        return "no shared cipher: the server has no certificate";
#endif
    case MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED:
        return "certificate verify failed: no certificate authority is trusted";
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        return "certificate verify failed";
    default:
        return NULL;
    }
}

/* Why a certificate was refused, the gravest reason first. */
const char *eco_tls_refusal(unsigned int flags)
{
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED)
        return "certificate has expired";
    if (flags & MBEDTLS_X509_BADCERT_FUTURE)
        return "certificate is not yet valid";
    if (flags & MBEDTLS_X509_BADCERT_REVOKED)
        return "certificate has been revoked";
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return "certificate is self-signed or not signed by a trusted CA";
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        return "certificate is for another name";
    if (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY))
        return "certificate is signed with a weak algorithm or key";
    if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE))
        return "certificate is not for this use";
    if (flags & MBEDTLS_X509_BADCERT_MISSING)
        return "the peer has no certificate";
    return "unknown error";
}
