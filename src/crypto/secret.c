/*
 * "secret" and "secret_keyring": see secret.h. `data` or `file`, or a key of the kernel, holds it, raw or in base64;
 * with `keyid` and `iv` it is encrypted by AES-256 in CBC mode with the padding of PKCS #7 (RFC 5652, 6.3), by the key
 * that is another secret.
 */
#include "crypto/secret.h"

#include "api/type.h"
#include "base/error.h"
#include "base/files.h"
#include "base/host/keyring.h"
#include "base/vec.h"
#include "crypto/cipher.h"
#include "schema/crypto.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>

enum { LIMIT = 64 << 10, KEY_SIZE = 32, BLOCK_SIZE = 16 };

typedef struct Secret {
    Object object;
    char *keyid, *iv;
    int format; /* QCryptoSecretFormat */
    uint8_t *bytes;
    size_t count;
} Secret;

typedef struct GivenSecret {
    Secret secret;
    char *data, *file;
} GivenSecret;

typedef struct KeyringSecret {
    Secret secret;
    int32_t serial;
} KeyringSecret;

typedef struct SecretClass {
    Class class;
    uint8_t *(*load)(const Secret *secret, size_t *count, Error **error); /* the caller's, with a NUL */
} SecretClass;
extern const SecretClass secret_common_class;

/* A copy of bytes that a NUL follows. */
static uint8_t *with_end(const void *bytes, size_t count)
{
    uint8_t *copy = mem_alloc(count + 1);
    memcpy(copy, bytes, count);
    copy[count] = 0;
    return copy;
}

static bool is_base64(const char *text)
{
    size_t count = 0, equals = 0;
    for (; *text; text++) {
        bool digit = g_ascii_isalnum(*text) || *text == '+' || *text == '/';
        if (g_ascii_isspace(*text)) {
            continue;
        }
        if ((*text != '=' && !digit) || (digit && equals)) {
            return false;
        }
        equals += *text == '=';
        count++;
    }
    return equals <= 2 && count % 4 == 0;
}

static uint8_t *decode(const char *text, size_t length, size_t *count, Error **error)
{
    if (strlen(text) != length || !is_base64(text)) {
        error_set(error, "Base64 data contains invalid characters");
        return NULL;
    }
    g_autofree guchar *bytes = g_base64_decode(text, count);
    return with_end(bytes, *count);
}

static uint8_t *load_given(const Secret *secret, size_t *count, Error **error)
{
    const GivenSecret *given = (const GivenSecret *)secret;
    if ((given->data != NULL) == (given->file != NULL)) {
        error_set(error, given->data ? "'file' and 'data' are mutually exclusive"
                                     : "Either 'file' or 'data' must be provided");
        return NULL;
    }
    if (given->file) {
        return files_read_all(NULL, given->file, LIMIT, count, error);
    }
    *count = strlen(given->data);
    return with_end(given->data, *count);
}

static uint8_t *load_key(const Secret *secret, size_t *count, Error **error)
{
    const KeyringSecret *keyring = (const KeyringSecret *)secret;
    if (keyring->serial == 0) {
        error_set(error, "'serial' should not be equal to 0");
        return NULL;
    }
    uint8_t *bytes = host_key_read(keyring->serial, count);
    if (!bytes) {
        error_set_errno(error, errno, "Unable to read serial key %08" PRIx32, (uint32_t)keyring->serial);
    }
    return bytes;
}

/* Replaces *bytes by what they are encrypted. */
static bool decrypt(const Secret *secret, uint8_t **bytes, size_t *count, Error **error)
{
    size_t key_size = 0, iv_size = 0;
    AUTO_FREE uint8_t *key = secret_bytes(secret->object.parent, secret->keyid, &key_size, error);
    if (key && key_size != KEY_SIZE) {
        return error_set(error, "Key should be %d bytes in length", KEY_SIZE);
    }
    if (key && !secret->iv) {
        return error_set(error, "IV is required to decrypt secret");
    }
    AUTO_FREE uint8_t *iv = key ? decode(secret->iv, strlen(secret->iv), &iv_size, error) : NULL;
    if (!iv) {
        return false;
    }
    if (iv_size != BLOCK_SIZE) {
        return error_set(error, "IV should be %d bytes in length not %zu", BLOCK_SIZE, iv_size);
    }
    if (*count == 0 || *count % BLOCK_SIZE) {
        return error_set(error, "Length %zu must be a multiple of block size %d", *count, BLOCK_SIZE);
    }
    if (!cipher_aes256_cbc_decrypt(key, iv, *bytes, *count, error)) {
        return false;
    }
    unsigned padding = (*bytes)[*count - 1];
    if (padding == 0 || padding > BLOCK_SIZE) {
        return error_set(error, "Incorrect number of padding bytes (%u) found on decrypted data", padding);
    }
    *count -= padding;
    (*bytes)[*count] = 0;
    return true;
}

static bool find_bytes(Secret *secret, Error **error)
{
    size_t count = 0;
    uint8_t *bytes = ((const SecretClass *)secret->object.class)->load(secret, &count, error);
    if (bytes && secret->format == QCRYPTO_SECRET_FORMAT_BASE64) {
        uint8_t *decoded = decode((char *)bytes, count, &count, error);
        free(bytes);
        bytes = decoded;
    }
    secret->bytes = bytes;
    secret->count = count;
    return bytes && (!secret->keyid || decrypt(secret, &secret->bytes, &secret->count, error));
}

static bool secret_complete(Object *object, Error **error) { return find_bytes((Secret *)object, error); }

static void secret_finalize(Object *object)
{
    Secret *secret = (Secret *)object;
    if (secret->bytes) {
        explicit_bzero(secret->bytes, secret->count);
        free(secret->bytes);
    }
}

uint8_t *secret_bytes(Object *objects, const char *id, size_t *count, Error **error)
{
    Object *object = objects ? object_child(objects, id) : NULL;
    if (!object) {
        error_set(error, "No secret with id '%s'", id);
        return NULL;
    }
    if (!object_is(object, &secret_common_class.class) || !object->complete) {
        error_set(error, "Object with id '%s' is not a secret", id);
        return NULL;
    }
    const Secret *secret = (const Secret *)object;
    *count = secret->count;
    return with_end(secret->bytes, secret->count);
}

char *secret_text(Object *objects, const char *id, Error **error)
{
    size_t count = 0;
    char *text = (char *)secret_bytes(objects, id, &count, error);
    if (text && (strlen(text) != count || !g_utf8_validate(text, -1, NULL))) {
        error_set(error, "Data from secret %s is not valid UTF-8", id);
        free(text);
        text = NULL;
    }
    return text;
}

static const Property common_properties[] = {
    PROP("format", QCryptoSecretFormat_type, Secret, format, "raw", "how it is written"),
    PROP("keyid", type_string, Secret, keyid, NULL, "the secret whose bytes decrypt it"),
    PROP("iv", type_string, Secret, iv, NULL, "the initialization vector for that, in base64"),
    PROP_END,
};

const SecretClass secret_common_class = {
    .class = { .name = "secret_common", .parent = &object_class, .description = "A password or key", .abstract = true,
               .size = sizeof(Secret), .properties = common_properties, .complete = secret_complete,
               .finalize = secret_finalize },
};

static const Property secret_properties[] = {
    PROP("data", type_string, GivenSecret, data, NULL, "the secret itself"),
    PROP("file", type_string, GivenSecret, file, NULL, "a file that holds it"),
    PROP_END,
};

const SecretClass secret_class = {
    .class = { .name = "secret", .parent = &secret_common_class.class, .description = "A password or key",
               .size = sizeof(GivenSecret), .user_creatable = true, .properties = secret_properties },
    .load = load_given,
};

static const Property keyring_properties[] = {
    PROP("serial", type_int32, KeyringSecret, serial, NULL, "the number of the key"),
    PROP_END,
};

const SecretClass secret_keyring_class = {
    .class = { .name = "secret_keyring", .parent = &secret_common_class.class, .size = sizeof(KeyringSecret),
               .description = "A password or key that the kernel keeps", .user_creatable = true,
               .properties = keyring_properties },
    .load = load_key,
};
