/* AES-GCM of whole records on x86-64: eight blocks at a time with the processor's instructions, where the library does one after
 * the other. Everything else, and every other machine, is the library's own, whose two functions get other names here.
 */
#define mbedtls_gcm_crypt_and_tag gcm_crypt_and_tag_by_library
#define mbedtls_gcm_auth_decrypt gcm_auth_decrypt_by_library
#include "gcm.c"
#undef mbedtls_gcm_crypt_and_tag
#undef mbedtls_gcm_auth_decrypt

#include <mbedtls/constant_time.h>
#include <string.h>
#include <immintrin.h>

#define WITH_INSTRUCTIONS __attribute__((target("aes,pclmul,ssse3,sse4.1")))
#define INSIDE WITH_INSTRUCTIONS static inline __attribute__((always_inline))

#define WIDE 8
#define POWERS 4

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *, int, size_t, const unsigned char *, size_t, const unsigned char *, size_t, const unsigned char *,
    unsigned char *, size_t, unsigned char *);
int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *, size_t, const unsigned char *, size_t, const unsigned char *, size_t, const unsigned char *, size_t,
    const unsigned char *, unsigned char *);

INSIDE __m128i swapped(__m128i block)
{
    return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* The parts of a product, which are summed before they are reduced. */
struct product {
    __m128i low, middle, high;
};

INSIDE void multiply(struct product *sum, __m128i a, __m128i b)
{
    sum->low = _mm_xor_si128(sum->low, _mm_clmulepi64_si128(a, b, 0x00));
    sum->middle = _mm_xor_si128(sum->middle, _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x10), _mm_clmulepi64_si128(a, b, 0x01)));
    sum->high = _mm_xor_si128(sum->high, _mm_clmulepi64_si128(a, b, 0x11));
}

/* Modulo the polynomial, whose bits are mirrored. */
INSIDE __m128i reduce(struct product sum)
{
    __m128i low = _mm_xor_si128(sum.low, _mm_slli_si128(sum.middle, 8)), high = _mm_xor_si128(sum.high, _mm_srli_si128(sum.middle, 8));
    __m128i carry = _mm_srli_epi32(low, 31), over = _mm_srli_epi32(high, 31), folded, rest;

    low = _mm_or_si128(_mm_slli_epi32(low, 1), _mm_slli_si128(carry, 4));
    high = _mm_or_si128(_mm_or_si128(_mm_slli_epi32(high, 1), _mm_slli_si128(over, 4)), _mm_srli_si128(carry, 12));
    folded = _mm_xor_si128(_mm_slli_epi32(low, 31), _mm_xor_si128(_mm_slli_epi32(low, 30), _mm_slli_epi32(low, 25)));
    rest = _mm_srli_si128(folded, 4);
    low = _mm_xor_si128(low, _mm_slli_si128(folded, 12));
    rest = _mm_xor_si128(rest, _mm_xor_si128(_mm_srli_epi32(low, 1), _mm_xor_si128(_mm_srli_epi32(low, 2), _mm_srli_epi32(low, 7))));
    return _mm_xor_si128(high, _mm_xor_si128(low, rest));
}

INSIDE __m128i times(__m128i a, __m128i b)
{
    struct product sum = { _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128() };
    multiply(&sum, a, b);
    return reduce(sum);
}

INSIDE __m128i load(const unsigned char *from, size_t length)
{
    unsigned char block[16] = { 0 };
    memcpy(block, from, length);
    return _mm_loadu_si128((const __m128i *) block);
}

/* Takes any number of bytes into the hash, the last block filled with zeros. */
INSIDE __m128i hash(__m128i state, const __m128i *powers, const unsigned char *data, size_t length)
{
    for (; length >= 16 * POWERS; data += 16 * POWERS, length -= 16 * POWERS) {
        struct product sum = { _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128() };
        for (int i = 0; i < POWERS; i++) {
            __m128i block = swapped(_mm_loadu_si128((const __m128i *) data + i));
            multiply(&sum, i == 0 ? _mm_xor_si128(block, state) : block, powers[POWERS - 1 - i]);
        }
        state = reduce(sum);
    }
    for (; length >= 16; data += 16, length -= 16)
        state = times(_mm_xor_si128(state, swapped(_mm_loadu_si128((const __m128i *) data))), powers[0]);
    return length ? times(_mm_xor_si128(state, swapped(load(data, length))), powers[0]) : state;
}

/* Encrypts `count` counters at a time. */
INSIDE void encrypt(__m128i *blocks, int count, const __m128i *keys, int rounds)
{
    for (int i = 0; i < count; i++)
        blocks[i] = _mm_xor_si128(blocks[i], _mm_loadu_si128(keys));
    for (int round = 1; round < rounds; round++) {
        __m128i key = _mm_loadu_si128(keys + round);
        for (int i = 0; i < count; i++)
            blocks[i] = _mm_aesenc_si128(blocks[i], key);
    }
    for (int i = 0; i < count; i++)
        blocks[i] = _mm_aesenclast_si128(blocks[i], _mm_loadu_si128(keys + rounds));
}

INSIDE __m128i counted(__m128i start, uint32_t counter)
{
    return _mm_insert_epi32(start, (int) __builtin_bswap32(counter), 3);
}

WITH_INSTRUCTIONS static void crypt(const mbedtls_aes_context *aes, int encrypts, size_t length, const unsigned char *iv, const unsigned char *extra,
    size_t extra_length, const unsigned char *from, unsigned char *to, unsigned char tag[16])
{
    const __m128i *keys = (const __m128i *) (aes->MBEDTLS_PRIVATE(buf) + aes->MBEDTLS_PRIVATE(rk_offset));
    int rounds = aes->MBEDTLS_PRIVATE(nr);
    __m128i start = load(iv, 12), powers[POWERS], mask = counted(start, 1), state = _mm_setzero_si128(), blocks[WIDE];
    uint64_t bits[2] = { (uint64_t) length * 8, (uint64_t) extra_length * 8 };
    uint32_t counter = 2;
    size_t left = length;

    powers[0] = _mm_setzero_si128();
    encrypt(powers, 1, keys, rounds);
    powers[0] = swapped(powers[0]);
    for (int i = 1; i < POWERS; i++)
        powers[i] = times(powers[i - 1], powers[0]);
    encrypt(&mask, 1, keys, rounds);
    state = hash(state, powers, extra, extra_length);
    for (; left >= 16 * WIDE; from += 16 * WIDE, to += 16 * WIDE, left -= 16 * WIDE, counter += WIDE) {
        for (int i = 0; i < WIDE; i++)
            blocks[i] = counted(start, counter + i);
        encrypt(blocks, WIDE, keys, rounds);
        if (!encrypts)
            state = hash(state, powers, from, 16 * WIDE);
        for (int i = 0; i < WIDE; i++)
            _mm_storeu_si128((__m128i *) to + i, _mm_xor_si128(blocks[i], _mm_loadu_si128((const __m128i *) from + i)));
        if (encrypts)
            state = hash(state, powers, to, 16 * WIDE);
    }
    if (left) {
        unsigned char stream[16 * WIDE];
        for (int i = 0; i < WIDE; i++)
            blocks[i] = counted(start, counter + i);
        encrypt(blocks, WIDE, keys, rounds);
        memcpy(stream, blocks, sizeof stream);
        if (!encrypts)
            state = hash(state, powers, from, left);
        for (size_t i = 0; i < left; i++)
            to[i] = from[i] ^ stream[i];
        if (encrypts)
            state = hash(state, powers, to, left);
        mbedtls_platform_zeroize(stream, sizeof stream);
    }
    state = times(_mm_xor_si128(state, _mm_loadu_si128((const __m128i *) bits)), powers[0]);
    _mm_storeu_si128((__m128i *) tag, _mm_xor_si128(swapped(state), mask));
    mbedtls_platform_zeroize(powers, sizeof powers);
    mbedtls_platform_zeroize(blocks, sizeof blocks);
}

/* The bit of cpuid that the library's own test looks at, as for the two it names. */
#define SSE4_1 (1u << 19)

/* The key, when it is one of AES and the processor has the instructions. */
static const mbedtls_aes_context *key_of(const mbedtls_gcm_context *context, size_t iv_length, size_t length)
{
    const mbedtls_cipher_context_t *cipher = &context->MBEDTLS_PRIVATE(cipher_ctx);
    mbedtls_cipher_type_t type = mbedtls_cipher_get_type(cipher);
    int is_aes = type == MBEDTLS_CIPHER_AES_128_ECB || type == MBEDTLS_CIPHER_AES_192_ECB || type == MBEDTLS_CIPHER_AES_256_ECB;
    int fits = iv_length == 12 && length < (size_t) 1 << 30;
    if (!is_aes || !fits || !mbedtls_aesni_has_support(MBEDTLS_AESNI_AES) || !mbedtls_aesni_has_support(MBEDTLS_AESNI_CLMUL)
        || !mbedtls_aesni_has_support(SSE4_1))
        return NULL;
    return cipher->MBEDTLS_PRIVATE(cipher_ctx);
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *context, int mode, size_t length, const unsigned char *iv, size_t iv_length, const unsigned char *extra,
    size_t extra_length, const unsigned char *from, unsigned char *to, size_t tag_length, unsigned char *tag)
{
    const mbedtls_aes_context *aes = key_of(context, iv_length, length | extra_length);
    unsigned char whole[16];

    if (!aes || tag_length < 4 || tag_length > 16)
        return gcm_crypt_and_tag_by_library(context, mode, length, iv, iv_length, extra, extra_length, from, to, tag_length, tag);
    crypt(aes, mode == MBEDTLS_GCM_ENCRYPT, length, iv, extra, extra_length, from, to, whole);
    memcpy(tag, whole, tag_length);
    return 0;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *context, size_t length, const unsigned char *iv, size_t iv_length, const unsigned char *extra,
    size_t extra_length, const unsigned char *tag, size_t tag_length, const unsigned char *from, unsigned char *to)
{
    const mbedtls_aes_context *aes = key_of(context, iv_length, length | extra_length);
    unsigned char whole[16];

    if (!aes || tag_length < 4 || tag_length > 16)
        return gcm_auth_decrypt_by_library(context, length, iv, iv_length, extra, extra_length, tag, tag_length, from, to);
    crypt(aes, 0, length, iv, extra, extra_length, from, to, whole);
    if (mbedtls_ct_memcmp(tag, whole, tag_length) != 0) {
        mbedtls_platform_zeroize(to, length);
        return MBEDTLS_ERR_GCM_AUTH_FAILED;
    }
    return 0;
}
