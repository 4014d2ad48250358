/* What the files of TLS share. */
#pragma once

#include "crypto/gnutls.h"
#include "crypto/tls.h"

typedef struct TlsCredentialsClass {
    Class class;
    const char *priority; /* of ciphers and key exchanges, where the user gives none; for servers */
    gnutls_credentials_type_t type;
    bool (*load)(TlsCredentials *credentials, Error **error);
    void (*unload)(TlsCredentials *credentials);
    /* After the handshake: whether the peer is who he should be, and who that is (the caller's; may stay NULL). */
    bool (*check_peer)(TlsCredentials *credentials, gnutls_session_t session, const char *hostname, char **identity,
                       Error **error);
} TlsCredentialsClass;
extern const TlsCredentialsClass tls_credentials_class, tls_credentials_anon_class, tls_credentials_psk_class,
    tls_credentials_x509_class;

struct TlsCredentials {
    Object object;
    int endpoint; /* QCryptoTLSCredsEndpoint */
    char *dir, *priority;
    bool verify_peer;
    Gnutls library;
    void *loaded; /* GnuTLS's credentials */
    gnutls_dh_params_t group; /* of a server's dh-params.pem; NULL: none */
};

bool tls_is_server(const TlsCredentials *credentials);

/* Each certificate of what is loaded from these files (NULL: none) can do what it is for. */
bool tls_check_certificates(const TlsCredentials *credentials, const char *authorities, const char *certificate,
                            Error **error);
