/* Sessions of TLS: see tls.h. */
#include "crypto/tls_internal.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "crypto/authz.h"

#include <errno.h>

struct TlsSession {
    TlsCredentials *credentials;
    const Gnutls *library;
    gnutls_session_t session;
    char *hostname, *authorization;
    Object *objects;
};

/* NORMAL has AES with 256 bits before ChaCha20 and AES with 128 bits behind that; with keys whose hash is SHA-256 the
 * first cannot be, and ChaCha20 is many times slower than the last on processors with instructions for AES. What the
 * user asks for stands as it is. */
#define AES_FIRST ":-CHACHA20-POLY1305:+CHACHA20-POLY1305"

static char *choose_priority(const TlsCredentials *credentials)
{
    const TlsCredentialsClass *class = (const TlsCredentialsClass *)credentials->object.class;
    if (!credentials->priority) {
        return string_format("%s" AES_FIRST "%s", class->priority,
                             tls_is_server(credentials) ? ":%SERVER_PRECEDENCE" : "");
    }
    return class->type != GNUTLS_CRD_CERTIFICATE
               ? string_format("%s:%s", credentials->priority, strchr(class->priority, '+'))
               : string_copy(credentials->priority);
}

static bool set_up(TlsSession *session, int fd, Error **error)
{
    const TlsCredentials *credentials = session->credentials;
    const TlsCredentialsClass *class = (const TlsCredentialsClass *)credentials->object.class;
    const Gnutls *library = session->library;
    bool server = tls_is_server(credentials);
    AUTO_FREE char *priority = choose_priority(credentials);
    int result = library->init(&session->session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                                                      GNUTLS_NO_SIGNAL);
    if (result < 0) {
        session->session = NULL;
        return error_set(error, "Cannot initialize TLS session: %s", library->strerror(result));
    }
    result = library->priority_set_direct(session->session, priority, NULL);
    if (result < 0) {
        return error_set(error, "Unable to set TLS session priority %s: %s", priority, library->strerror(result));
    }
    result = library->credentials_set(session->session, class->type, credentials->loaded);
    if (result < 0) {
        return error_set(error, "Cannot set session credentials: %s", library->strerror(result));
    }
    if (server && class->type == GNUTLS_CRD_CERTIFICATE) {
        library->certificate_server_set_request(session->session,
                                                credentials->verify_peer ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
    }
    if (!server && session->hostname) {
        library->server_name_set(session->session, GNUTLS_NAME_DNS, session->hostname, strlen(session->hostname));
    }
    library->handshake_set_timeout(session->session, 0); /* whoever owns the socket has one */
    library->transport_set_int2(session->session, fd, fd);
    return true;
}

TlsSession *tls_session_new(const TlsOptions *options, int fd, Error **error)
{
    TlsSession *session = NEW(TlsSession);
    session->credentials = options->credentials;
    object_ref(&options->credentials->object);
    session->library = &options->credentials->library;
    session->hostname = string_copy(options->hostname);
    session->authorization = string_copy(options->authorization);
    session->objects = options->objects;
    if (!set_up(session, fd, error)) {
        tls_session_free(session);
        return NULL;
    }
    return session;
}

void tls_session_free(TlsSession *session)
{
    if (session) {
        if (session->session) {
            session->library->deinit(session->session);
        }
        tls_credentials_unref(session->credentials);
        free(session->hostname);
        free(session->authorization);
        free(session);
    }
}

static bool check_peer(TlsSession *session, Error **error)
{
    TlsCredentials *credentials = session->credentials;
    const TlsCredentialsClass *class = (const TlsCredentialsClass *)credentials->object.class;
    char *identity = NULL;
    bool good = class->check_peer(credentials, session->session, session->hostname, &identity, error);
    if (good && session->authorization) {
        good = identity ? authz_check(session->objects, session->authorization, identity, error)
                        : error_set(error, "The peer did not show who he is, and authorization '%s' asks for it",
                                    session->authorization);
    }
    free(identity);
    return good;
}

static bool waits(int result) { return result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED; }

TlsProgress tls_session_handshake(TlsSession *session, Error **error)
{
    const Gnutls *library = session->library;
    int result;
    do {
        result = library->handshake(session->session);
    } while (result < 0 && !waits(result) && !library->error_is_fatal(result));
    if (result < 0) {
        if (!waits(result)) {
            error_set(error, "TLS handshake failed: %s", library->strerror(result));
        }
        return waits(result) ? TLS_WAITS : TLS_FAILED;
    }
    return check_peer(session, error) ? TLS_DONE : TLS_FAILED;
}

TlsProgress tls_session_bye(TlsSession *session)
{
    int result = session->library->bye(session->session, GNUTLS_SHUT_WR);
    return result >= 0 ? TLS_DONE : waits(result) ? TLS_WAITS : TLS_FAILED;
}

static ssize_t result_of(ssize_t result)
{
    if (result < 0) {
        errno = waits((int)result) ? EAGAIN : EPROTO;
        return -1;
    }
    return result;
}

ssize_t tls_session_read(TlsSession *session, void *bytes, size_t count)
{
    ssize_t result;
    do {
        result = session->library->record_recv(session->session, bytes, count);
    } while (result < 0 && !waits((int)result) && !session->library->error_is_fatal((int)result));
    return result == GNUTLS_E_PREMATURE_TERMINATION ? 0 : result_of(result);
}

ssize_t tls_session_write(TlsSession *session, const void *bytes, size_t count)
{
    return result_of(session->library->record_send(session->session, bytes, count));
}

unsigned tls_session_waits_for(const TlsSession *session)
{
    return session->library->record_get_direction(session->session) ? HOST_POLL_OUT : HOST_POLL_IN;
}
