/* Passwords and keys: "secret", given as text or in a file, "secret_keyring", kept by the kernel; perhaps encrypted by
 * another secret. */
#pragma once

#include "object/object.h"

typedef struct Error Error;

/* The bytes of the secret `id` among `objects` (a container, may be NULL); the caller's, with a NUL behind them. NULL
 * with an error. */
uint8_t *secret_bytes(Object *objects, const char *id, size_t *count, Error **error);
/* The same where they have to be text. */
char *secret_text(Object *objects, const char *id, Error **error);
