/*
 * TLS: credentials, which are objects ("tls-creds-x509", "tls-creds-psk", "tls-creds-anon"), and sessions over a
 * connected socket that does not block. A session belongs to one thread at a time and never waits: where it cannot go
 * on, it says for what.
 */
#pragma once

#include "object/object.h"

#include <sys/types.h>

typedef struct Error Error;
typedef struct TlsCredentials TlsCredentials;
typedef struct TlsSession TlsSession;

/* The credentials `id` among `objects` (a container, may be NULL), with a reference; they have to be for that end. NULL
 * with an error. */
TlsCredentials *tls_credentials_find(Object *objects, const char *id, bool server, Error **error);
void tls_credentials_ref(TlsCredentials *credentials);   /* NULL is fine, */
void tls_credentials_unref(TlsCredentials *credentials); /* here too */

typedef struct TlsOptions {
    TlsCredentials *credentials; /* the session takes a reference */
    const char *hostname;        /* a client's: what the server's certificate has to be for; NULL: anything */
    Object *objects;             /* a server's: where the authorization object is; */
    const char *authorization;   /* NULL: whoever the credentials let in */
} TlsOptions;
TlsSession *tls_session_new(const TlsOptions *options, int fd, Error **error);
void tls_session_free(TlsSession *session); /* NULL is fine */

typedef enum TlsProgress { TLS_DONE, TLS_WAITS, TLS_FAILED } TlsProgress;
/* Also checks who the peer is. */
TlsProgress tls_session_handshake(TlsSession *session, Error **error);
/* Says that nothing more comes. */
TlsProgress tls_session_bye(TlsSession *session);
/* As recv and send: -1 with errno EAGAIN where it waits; EPROTO where the peer does not keep to TLS. A write that has
 * waited is to be repeated with the same bytes. */
ssize_t tls_session_read(TlsSession *session, void *bytes, size_t count);
ssize_t tls_session_write(TlsSession *session, const void *bytes, size_t count);
unsigned tls_session_waits_for(const TlsSession *session); /* HOST_POLL_IN or HOST_POLL_OUT */
