/*
 * The client's side of the NBD handshake: newstyle, fixed or not, and the oldstyle that has no options. Nothing of what
 * the server sends is trusted; the caller limits the time.
 */
#include "block/nbd/client_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"

#include <inttypes.h>

enum { REPLIES = 1 << 16, OLD_ZEROES = 124 };

typedef struct Handshake {
    NbdChannel *channel;
    const NbdWanted *wanted;
    NbdSession *session;
    Error **error;
} Handshake;

typedef struct Reply {
    uint32_t type;
    NbdData data;
    uint8_t *bytes; /* the caller's */
} Reply;

static bool gone(const Handshake *shake) { return error_set(shake->error, "The NBD server closed the connection"); }

static bool send_option(const Handshake *shake, uint32_t option, const StrBuf *data)
{
    uint8_t header[NBD_OPTION_HEADER];
    size_t length = data ? data->length : 0;
    nbd_put_option(header, (NbdOptionHeader){ option, (uint32_t)length });
    struct iovec pieces[] = { { header, sizeof header }, { length ? data->data : NULL, length } };
    return nbd_channel_write(shake->channel, pieces, length ? 2 : 1) || gone(shake);
}

static bool read_reply(const Handshake *shake, uint32_t option, Reply *reply)
{
    uint8_t header[NBD_OPTION_REPLY_HEADER];
    NbdOptionReply fields;
    *reply = (Reply){ 0 };
    if (!nbd_channel_read(shake->channel, header, sizeof header)) {
        return gone(shake);
    }
    if (!nbd_get_option_reply(header, &fields) || fields.option != option || fields.length > NBD_MAXIMUM_OPTION) {
        return error_set(shake->error, "The NBD server's reply to option %u is none", option);
    }
    uint8_t *bytes = mem_alloc(MAX(fields.length, 1));
    if (!nbd_channel_read(shake->channel, bytes, fields.length)) {
        free(bytes);
        return gone(shake);
    }
    *reply = (Reply){ .type = fields.type, .data = { .at = bytes, .left = fields.length }, .bytes = bytes };
    return true;
}

/* What the server says of its refusal, as a line of advice. */
static bool refused(const Handshake *shake, const Reply *reply, const char *format, ...) PRINTF(3, 4);
static bool refused(const Handshake *shake, const Reply *reply, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = string_vformat(format, arguments);
    va_end(arguments);
    NbdData data = reply->data;
    AUTO_FREE char *words = data.left ? nbd_take_text(&data, data.left) : NULL;
    error_set(shake->error, "%s", text);
    if (words) {
        error_add_hint(shake->error, "server reported: %s\n", words);
    }
    return false;
}

/* Of an option without data that is agreed to or not. */
static bool try_option(const Handshake *shake, uint32_t option, bool *agreed)
{
    Reply reply;
    if (!send_option(shake, option, NULL) || !read_reply(shake, option, &reply)) {
        return false;
    }
    *agreed = reply.type == NBD_REP_ACK;
    bool ok = *agreed || reply.type & NBD_REP_ERROR ||
              error_set(shake->error, "The NBD server's reply to option %u is none", option);
    if (ok && reply.type == (NBD_REP_ERROR | NBD_ERR_TLS_REQD)) {
        ok = refused(shake, &reply, "The NBD server asks for TLS: give tls-creds");
    }
    free(reply.bytes);
    return ok;
}

static bool choose_mode(const Handshake *shake)
{
    static const struct {
        NbdOption option;
        NbdMode mode;
    } modes[] = { { NBD_OPT_EXTENDED_HEADERS, NBD_EXTENDED }, { NBD_OPT_STRUCTURED_REPLY, NBD_STRUCTURED } };
    bool agreed = false;
    for (size_t i = 0; !agreed && i < ARRAY_SIZE(modes); i++) {
        if (!try_option(shake, modes[i].option, &agreed)) {
            return false;
        }
        shake->session->mode = agreed ? modes[i].mode : NBD_SIMPLE;
    }
    return true;
}

/* Contexts */

static void add_text(StrBuf *to, const char *text)
{
    nbd_add32(to, (uint32_t)strlen(text));
    strbuf_append(to, text);
}

static bool take_context(const Handshake *shake, Reply *reply)
{
    uint32_t number = nbd_take32(&reply->data);
    AUTO_FREE char *name = nbd_take_text(&reply->data, reply->data.left);
    if (!name || strcmp(name, shake->wanted->context) != 0 || shake->session->has_context) {
        return error_set(shake->error, "The NBD server offers contexts that nobody asked for");
    }
    shake->session->has_context = true;
    shake->session->context = number;
    return true;
}

/* The wanted one alone; a server without it refuses, or answers with none. */
static bool choose_context(const Handshake *shake)
{
    AUTO_STRBUF(data);
    if (shake->session->mode == NBD_SIMPLE) {
        return true;
    }
    add_text(&data, shake->wanted->export);
    nbd_add32(&data, 1);
    add_text(&data, shake->wanted->context);
    bool ok = send_option(shake, NBD_OPT_SET_META_CONTEXT, &data), ended = false;
    while (ok && !ended) {
        Reply reply;
        ok = read_reply(shake, NBD_OPT_SET_META_CONTEXT, &reply);
        ended = ok && (reply.type == NBD_REP_ACK || reply.type & NBD_REP_ERROR);
        shake->session->has_context = shake->session->has_context && !(ok && reply.type & NBD_REP_ERROR);
        if (ok && !ended) {
            ok = reply.type == NBD_REP_META_CONTEXT
                     ? take_context(shake, &reply)
                     : error_set(shake->error, "The NBD server's reply about contexts is none");
        }
        free(reply.bytes);
    }
    return ok;
}

/* Choosing the export */

static bool take_info(const Handshake *shake, NbdData *data, bool *has_export)
{
    NbdSession *session = shake->session;
    unsigned kind = nbd_take16(data);
    if (kind == NBD_INFO_EXPORT) {
        session->size = nbd_take64(data);
        session->flags = nbd_take16(data);
        *has_export = true;
    } else if (kind == NBD_INFO_BLOCK_SIZE) {
        session->minimum_block = nbd_take32(data);
        nbd_take32(data);
        session->maximum_block = nbd_take32(data);
        if (!is_power_of_2(session->minimum_block) || session->minimum_block > 64 << 10 ||
            session->maximum_block < session->minimum_block) {
            return error_set(shake->error, "The NBD server's block sizes, %" PRIu32 " to %" PRIu32 ", cannot be",
                             session->minimum_block, session->maximum_block);
        }
    }
    return !data->bad || error_set(shake->error, "The NBD server's description of the export is too short");
}

/* *done: there is an export now; else the server does not know NBD_OPT_GO. */
static bool go(const Handshake *shake, bool *done)
{
    AUTO_STRBUF(data);
    bool has_export = false;
    add_text(&data, shake->wanted->export);
    nbd_add16(&data, 1);
    nbd_add16(&data, NBD_INFO_BLOCK_SIZE);
    bool ok = send_option(shake, NBD_OPT_GO, &data), ended = false;
    *done = false;
    for (unsigned i = 0; ok && !ended; i++) {
        Reply reply;
        ok = read_reply(shake, NBD_OPT_GO, &reply);
        ended = ok && reply.type != NBD_REP_INFO;
        if (ok && !ended) {
            ok = i < REPLIES ? take_info(shake, &reply.data, &has_export)
                             : error_set(shake->error, "The NBD server has no end of words");
        } else if (ok && reply.type == NBD_REP_ACK) {
            *done = has_export;
            ok = has_export || error_set(shake->error, "The NBD server did not describe the export");
        } else if (ok && reply.type != (NBD_REP_ERROR | NBD_ERR_UNSUP)) {
            ok = refused(shake, &reply, reply.type == (NBD_REP_ERROR | NBD_ERR_TLS_REQD)
                                            ? "The NBD server asks for TLS: give tls-creds"
                                            : "Requested export not available");
        }
        free(reply.bytes);
    }
    return ok;
}

static bool take_export(const Handshake *shake, bool zeroes)
{
    uint8_t bytes[10];
    if (!nbd_channel_read(shake->channel, bytes, sizeof bytes) ||
        (zeroes && !nbd_channel_skip(shake->channel, OLD_ZEROES))) {
        return error_set(shake->error, "Requested export not available");
    }
    shake->session->size = load_be64(bytes);
    shake->session->flags = load_be16(bytes + 8);
    return true;
}

static bool choose_by_name(const Handshake *shake, bool zeroes)
{
    AUTO_STRBUF(data);
    strbuf_append(&data, shake->wanted->export);
    return send_option(shake, NBD_OPT_EXPORT_NAME, &data) && take_export(shake, zeroes);
}

static bool newstyle(const Handshake *shake)
{
    uint8_t bytes[4];
    if (!nbd_channel_read(shake->channel, bytes, 2)) {
        return gone(shake);
    }
    unsigned flags = load_be16(bytes) & (NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    store_be32(bytes, flags);
    struct iovec piece = { bytes, 4 };
    bool done = false;
    if (!nbd_channel_write(shake->channel, &piece, 1)) {
        return gone(shake);
    }
    if (flags & NBD_FIXED_NEWSTYLE && (!choose_mode(shake) || !choose_context(shake) || !go(shake, &done))) {
        return false;
    }
    return done || choose_by_name(shake, !(flags & NBD_NO_ZEROES));
}

static bool oldstyle(const Handshake *shake)
{
    uint8_t bytes[12];
    if (*shake->wanted->export) {
        return error_set(shake->error, "Server does not support non-empty export names");
    }
    if (!nbd_channel_read(shake->channel, bytes, sizeof bytes) || !nbd_channel_skip(shake->channel, OLD_ZEROES)) {
        return gone(shake);
    }
    shake->session->size = load_be64(bytes);
    shake->session->flags = load_be32(bytes + 8) & 0xffff;
    return true;
}

static bool check(const Handshake *shake)
{
    const NbdSession *session = shake->session;
    if (session->size > INT64_MAX - BLOCK_SECTOR) {
        return error_set(shake->error, "The NBD server's export of %" PRIu64 " bytes is too large", session->size);
    }
    if (!(session->flags & NBD_HAS_FLAGS)) {
        shake->session->flags = 0;
    }
    return session->minimum_block == 0 || session->size % session->minimum_block == 0 ||
           error_set(shake->error, "The NBD server's export of %" PRIu64 " bytes is no multiple of its block of %" PRIu32,
                     session->size, session->minimum_block);
}

bool nbd_client_handshake(NbdChannel *channel, const NbdWanted *wanted, NbdSession *session, Error **error)
{
    uint8_t greeting[16];
    Handshake shake = { channel, wanted, session, error };
    *session = (NbdSession){ 0 };
    if (!nbd_channel_read(channel, greeting, sizeof greeting)) {
        return gone(&shake);
    }
    uint64_t magic = load_be64(greeting + 8);
    if (load_be64(greeting) != NBD_MAGIC || (magic != NBD_OPTION_MAGIC && magic != NBD_OLD_MAGIC)) {
        return error_set(error, "Bad server magic received: this is no NBD server");
    }
    return (magic == NBD_OPTION_MAGIC ? newstyle(&shake) : oldstyle(&shake)) && check(&shake);
}
