/*
 * Names of NBD exports: URIs after doc/uri.md of the Network Block Device project (nbd, nbd+tcp, nbd+unix; the same
 * with nbds, for TLS) and the older nbd:HOST:PORT[:exportname=NAME] and nbd:unix:PATH[:exportname=NAME].
 */
#include "block/nbd/client_internal.h"

#include "api/json.h"
#include "base/error.h"
#include "base/text.h"
#include "base/vec.h"
#include "schema/sockets.h"

#include <ctype.h>

const char *const nbd_schemes[] = { "nbd", "nbd+tcp", "nbd+unix", "nbds", "nbds+tcp", "nbds+unix", NULL };

static void set_server(Json *options, const char *type, const char *first_key, const char *first, const char *port)
{
    Json *server = json_object();
    json_set(server, "type", json_string(type));
    json_set(server, first_key, json_string(first));
    if (port) {
        json_set(server, "port", json_string(port));
    }
    json_set(options, "server", server);
}

/* HOST[:PORT], [ADDRESS][:PORT]; false where it is neither. */
static bool set_host(Json *options, const char *text, bool needs_port)
{
    bool bracket = *text == '[';
    const char *end = bracket ? strchr(text, ']') : text + strcspn(text, ":");
    if (!end) {
        return false;
    }
    AUTO_FREE char *host = string_copy_length(text + bracket, (size_t)(end - text) - bracket);
    end += bracket;
    bool has_port = *end == ':' && end[1];
    if ((*end && !has_port) || (needs_port && !has_port)) {
        return false;
    }
    set_server(options, "inet", "host", host, has_port ? end + 1 : NBD_PORT_TEXT);
    return true;
}

/* nbd:... */
static bool parse_old(const char *name, Json *options, Error **error)
{
    static const char export_key[] = ":exportname=";
    const char *address = name + strlen("nbd:"), *export = strstr(address, export_key);
    AUTO_FREE char *host = export ? string_copy_length(address, (size_t)(export - address)) : string_copy(address);
    if (export && export[strlen(export_key)]) {
        json_set(options, "export", json_string(export + strlen(export_key)));
    }
    if (text_starts_with(host, "unix:")) {
        set_server(options, "unix", "path", host + strlen("unix:"), NULL);
        return true;
    }
    return set_host(options, host, true) || error_set(error, "error parsing address '%s'", host);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Without %XX; NULL where one is wrong or a NUL. */
static char *decode(const char *text, size_t length)
{
    char *result = mem_alloc(length + 1), *to = result;
    for (size_t i = 0; i < length; i++) {
        int high = text[i] == '%' && i + 2 < length ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (text[i] == '%' && (low < 0 || high * 16 + low == 0)) {
            free(result);
            return NULL;
        }
        *to++ = text[i] == '%' ? (char)(high * 16 + low) : text[i];
        i += text[i] == '%' ? 2 : 0;
    }
    *to = 0;
    return result;
}

/* Behind "//": AUTHORITY[/EXPORT][?socket=PATH]. */
static bool parse_uri(const char *rest, bool is_unix, Json *options)
{
    const char *path = rest + strcspn(rest, "/?"), *query = path + strcspn(path, "?");
    const char *export = path + strspn(path, "/");
    AUTO_FREE char *authority = decode(rest, (size_t)(path - rest));
    AUTO_FREE char *name = decode(export, query > export ? (size_t)(query - export) : 0);
    static const char key[] = "?socket=";
    bool has_socket = text_starts_with(query, key) && query[strlen(key)] && !strchr(query, '&');
    if (!authority || !name || is_unix != has_socket || (*query && !has_socket) || is_unix == (*authority != 0)) {
        return false;
    }
    if (*name) {
        json_set(options, "export", json_string(name));
    }
    if (!is_unix) {
        return set_host(options, authority, false);
    }
    AUTO_FREE char *socket = decode(query + strlen(key), strlen(query + strlen(key)));
    if (socket) {
        set_server(options, "unix", "path", socket, NULL);
    }
    return socket != NULL;
}

bool nbd_parse_name(const BlockDriver *driver, const char *name, Json *options, Error **error)
{
    const char *colon = strchr(name, ':');
    if (!text_starts_with(name, "nbd") || !colon || (name[3] != ':' && !strstr(name, "://"))) {
        return error_set(error, "File name string for NBD must start with 'nbd:'");
    }
    if (!text_starts_with(colon, "://")) {
        return parse_old(name, options, error);
    }
    if (text_starts_with(name, "nbds") && !json_get(options, "tls-creds")) {
        return error_set(error, "'%.*s' is NBD by TLS: it needs tls-creds, the ID of an object with credentials",
                         (int)(colon - name), name);
    }
    bool is_unix = colon - name >= 5 && memcmp(colon - 5, "+unix", 5) == 0;
    return parse_uri(colon + strlen("://"), is_unix, options) || error_set(error, "No valid URL specified");
}

char *nbd_format_name(const SocketAddress *address, const char *export, bool tls)
{
    const char *scheme = tls ? "nbds" : "nbd", *slash = export && *export ? "/" : "";
    export = export ? export : "";
    switch (address->type) {
    case SOCKET_ADDRESS_TYPE_UNIX:
        return string_format("%s+unix://%s%s?socket=%s", scheme, slash, export, address->u.unix_.path);
    case SOCKET_ADDRESS_TYPE_INET:
        return string_format("%s://%s:%s%s%s", scheme, address->u.inet.host, address->u.inet.port, slash, export);
    default:
        return string_copy("");
    }
}
