/* Ciphers, by GnuTLS. */
#include "crypto/cipher.h"

#include "base/error.h"
#include "crypto/gnutls.h"

bool cipher_aes256_cbc_decrypt(const uint8_t *key, const uint8_t *iv, uint8_t *bytes, size_t count, Error **error)
{
    Gnutls library = { 0 };
    gnutls_cipher_hd_t cipher;
    gnutls_datum_t key_datum = { (uint8_t *)(uintptr_t)key, 32 }, iv_datum = { (uint8_t *)(uintptr_t)iv, 16 };
    if (!gnutls_open(&library, error)) {
        return false;
    }
    int result = library.cipher_init(&cipher, GNUTLS_CIPHER_AES_256_CBC, &key_datum, &iv_datum);
    if (result == 0) {
        result = library.cipher_decrypt(cipher, bytes, count);
        library.cipher_deinit(cipher);
    }
    return result == 0 || error_set(error, "Could not decrypt: %s", library.strerror(result));
}
