/* X25519 for machines with products of 128 bits: HACL*'s verified code, which comes with Mbed TLS, in place of arithmetic
 * on numbers of any length. A handshake takes a fraction of the time.
 */
#define MBEDTLS_ECDH_VARIANT_EVEREST_ENABLED
#include "Hacl_Curve25519_joined.c"

#if defined(__SIZEOF_INT128__)
#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>

int ecp_mul_restartable_internal_soft(mbedtls_ecp_group *group, mbedtls_ecp_point *result, const mbedtls_mpi *number, const mbedtls_ecp_point *point,
    int (*random)(void *, unsigned char *, size_t), void *context, mbedtls_ecp_restart_ctx *restart);

/* Multiplies a point: what every operation on curves comes down to. */
int ecp_mul_restartable_internal(mbedtls_ecp_group *group, mbedtls_ecp_point *result, const mbedtls_mpi *number, const mbedtls_ecp_point *point,
    int (*random)(void *, unsigned char *, size_t), void *context, mbedtls_ecp_restart_ctx *restart)
{
    unsigned char secret[32], from[32], to[32], any = 0;
    int failed, i;

    if (group->id != MBEDTLS_ECP_DP_CURVE25519)
        return ecp_mul_restartable_internal_soft(group, result, number, point, random, context, restart);
    if ((failed = mbedtls_mpi_write_binary_le(number, secret, sizeof secret)) == 0
        && (failed = mbedtls_mpi_write_binary_le(&point->MBEDTLS_PRIVATE(X), from, sizeof from)) == 0) {
        Hacl_Curve25519_crypto_scalarmult(to, secret, from);
        for (i = 0; i < 32; i++)
            any |= to[i];
        /* Points of low order share no secret. */
        if (any == 0)
            failed = MBEDTLS_ERR_ECP_INVALID_KEY;
        else if ((failed = mbedtls_mpi_read_binary_le(&result->MBEDTLS_PRIVATE(X), to, sizeof to)) == 0)
            failed = mbedtls_mpi_lset(&result->MBEDTLS_PRIVATE(Z), 1);
    }
    mbedtls_mpi_free(&result->MBEDTLS_PRIVATE(Y));
    mbedtls_platform_zeroize(secret, sizeof secret);
    mbedtls_platform_zeroize(to, sizeof to);
    return failed;
}
#endif
