/* Ciphers. */
#pragma once

#include "base/compiler.h"

typedef struct Error Error;

/* In place, whole blocks of 16 bytes; a key of 32 bytes, an initialization vector of 16. */
bool cipher_aes256_cbc_decrypt(const uint8_t *key, const uint8_t *iv, uint8_t *bytes, size_t count, Error **error);
