/*
 * The server's side of the NBD handshake: fixed newstyle, one option after the other. Where there are credentials for
 * TLS, a client has to begin with that.
 */
#include "block/nbd/server_internal.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "block/bitmap.h"

typedef enum Next { GOES_ON, CHOSEN, ENDED } Next;

typedef struct Option {
    NbdClient *client;
    uint32_t number;
    NbdData data;
} Option;

#define BITMAP_PREFIX "qemu:dirty-bitmap:"

/* Of the context; the caller's. */
static char *context_name(const NbdExport *export, unsigned context)
{
    return context == NBD_BASE_ALLOCATION    ? string_copy("base:allocation")
           : context == NBD_ALLOCATION_DEPTH ? string_copy("qemu:allocation-depth")
                                             : string_format(BITMAP_PREFIX "%s",
                                                             export->bitmaps[context - NBD_FIRST_BITMAP]->name);
}

static unsigned context_count(const NbdExport *export)
{
    return NBD_FIRST_BITMAP + (unsigned)export->options.bitmap_count;
}

uint16_t nbd_export_flags(const NbdClient *client, const NbdExport *export)
{
    unsigned flags = NBD_HAS_FLAGS | NBD_SEND_FLUSH | NBD_SEND_FUA | NBD_SEND_CACHE;
    flags |= export->options.read_only ? NBD_READ_ONLY : NBD_SEND_TRIM | NBD_SEND_WRITE_ZEROES | NBD_SEND_FAST_ZERO;
    flags |= client->mode != NBD_SIMPLE ? NBD_SEND_DF : 0;
    return (uint16_t)(flags | (export->options.multiple_connections ? NBD_CAN_MULTI_CONN : 0) |
                      (client->mode == NBD_EXTENDED ? NBD_BLOCK_STATUS_PAYLOAD : 0));
}

static Next reply(const Option *option, uint32_t type, const void *data, size_t length)
{
    uint8_t header[NBD_OPTION_REPLY_HEADER];
    nbd_put_option_reply(header, (NbdOptionReply){ option->number, type, (uint32_t)length });
    struct iovec pieces[] = { { header, sizeof header }, { (void *)(uintptr_t)data, length } };
    return nbd_channel_write(&option->client->channel, pieces, length ? 2 : 1) ? GOES_ON : ENDED;
}

static Next acknowledge(const Option *option) { return reply(option, NBD_REP_ACK, NULL, 0); }

static Next PRINTF(3, 4) refuse(const Option *option, uint32_t error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    AUTO_FREE char *text = string_vformat(format, arguments);
    va_end(arguments);
    return reply(option, NBD_REP_ERROR | error, text, MIN(strlen(text), NBD_MAXIMUM_STRING));
}

/* The old way to choose: there is no answer to a wrong name. */
static Next export_name(Option *option)
{
    NbdClient *client = option->client;
    AUTO_FREE char *name = nbd_take_text(&option->data, option->data.left);
    NbdExport *export = name ? nbd_server_find_export(client->server, name) : NULL;
    if (!export || client->mode == NBD_EXTENDED) {
        return ENDED;
    }
    uint8_t answer[10 + 124] = { 0 };
    store_be64(answer, export->options.size);
    store_be16(answer + 8, nbd_export_flags(client, export));
    client->export = export;
    struct iovec piece = { answer, client->no_zeroes ? 10 : sizeof answer };
    return nbd_channel_write(&client->channel, &piece, 1) ? CHOSEN : ENDED;
}

static Next abort_session(Option *option)
{
    acknowledge(option);
    return ENDED;
}

static Next list(Option *option)
{
    Next next = GOES_ON;
    if (option->data.left) {
        return refuse(option, NBD_ERR_INVALID, "NBD_OPT_LIST has no data");
    }
    LIST_FOREACH (&option->client->server->exports, export, NbdExport, in_server) {
        AUTO_STRBUF(text);
        nbd_add32(&text, (uint32_t)strlen(export->options.name));
        strbuf_append(&text, export->options.name);
        strbuf_append(&text, export->options.description ? export->options.description : "");
        next = next == GOES_ON ? reply(option, NBD_REP_SERVER, text.data, text.length) : next;
    }
    return next == GOES_ON ? acknowledge(option) : next;
}

static Next start_tls(Option *option)
{
    NbdClient *client = option->client;
    const NbdServerOptions *server = &client->server->options;
    if (!server->tls) {
        return refuse(option, NBD_ERR_POLICY, "TLS not configured");
    }
    if (client->has_tls || option->data.left) {
        return refuse(option, NBD_ERR_INVALID, client->has_tls ? "TLS already enabled" : "the option has no data");
    }
    TlsOptions tls = { .credentials = server->tls, .objects = server->objects, .authorization = server->authorization };
    client->has_tls = true;
    AUTO_ERROR(error);
    bool ok = acknowledge(option) == GOES_ON && nbd_channel_start_tls(&client->channel, &tls, &error);
    if (error && server->failed) {
        server->failed(server->data, error_message(error));
    }
    return ok ? GOES_ON : ENDED;
}

static Next reply_info(const Option *option, const StrBuf *text)
{
    return reply(option, NBD_REP_INFO, text->data, text->length);
}

static Next info_text(const Option *option, NbdInfo info, const char *text)
{
    AUTO_STRBUF(data);
    nbd_add16(&data, info);
    strbuf_append(&data, text);
    return reply_info(option, &data);
}

static Next info_sizes(const Option *option)
{
    AUTO_STRBUF(data);
    nbd_add16(&data, NBD_INFO_BLOCK_SIZE);
    nbd_add32(&data, 1);
    nbd_add32(&data, 4096);
    nbd_add32(&data, NBD_MAXIMUM_PAYLOAD);
    return reply_info(option, &data);
}

static Next info_export(const Option *option, const NbdExport *export)
{
    AUTO_STRBUF(data);
    nbd_add16(&data, NBD_INFO_EXPORT);
    nbd_add64(&data, export->options.size);
    nbd_add16(&data, nbd_export_flags(option->client, export));
    return reply_info(option, &data);
}

/* What was asked for, each once, and what every client is told. */
static Next send_infos(const Option *option, const NbdExport *export, unsigned asked)
{
    Next next = asked & BIT(NBD_INFO_NAME) ? info_text(option, NBD_INFO_NAME, export->options.name) : GOES_ON;
    if (next == GOES_ON && export->options.description) {
        next = info_text(option, NBD_INFO_DESCRIPTION, export->options.description);
    }
    if (next == GOES_ON && asked & BIT(NBD_INFO_BLOCK_SIZE)) {
        next = info_sizes(option);
    }
    next = next == GOES_ON ? info_export(option, export) : next;
    return next == GOES_ON ? acknowledge(option) : next;
}

static Next info_or_go(Option *option)
{
    NbdData *data = &option->data;
    AUTO_FREE char *name = nbd_take_text(data, nbd_take32(data));
    unsigned asked = 0, count = nbd_take16(data);
    if (data->bad || data->left != 2u * count) {
        return refuse(option, NBD_ERR_INVALID, "the lengths in the option are wrong");
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned number = nbd_take16(data);
        asked |= number <= NBD_INFO_BLOCK_SIZE ? (unsigned)BIT(number) : 0;
    }
    NbdExport *export = nbd_server_find_export(option->client->server, name);
    if (!export) {
        return refuse(option, NBD_ERR_UNKNOWN, "export '%s' not present", name);
    }
    Next next = send_infos(option, export, asked);
    if (next == GOES_ON && option->number == NBD_OPT_GO) {
        option->client->export = export;
        next = CHOSEN;
    }
    return next;
}

static Next choose_mode(Option *option)
{
    NbdMode mode = option->number == NBD_OPT_EXTENDED_HEADERS ? NBD_EXTENDED : NBD_STRUCTURED;
    if (option->data.left) {
        return refuse(option, NBD_ERR_INVALID, "the option has no data");
    }
    if (option->client->mode >= mode) {
        return mode == NBD_STRUCTURED && option->client->mode == NBD_EXTENDED
                   ? refuse(option, NBD_ERR_EXT_HEADER_REQD, "extended headers already negotiated")
                   : refuse(option, NBD_ERR_INVALID, "it has been negotiated already");
    }
    option->client->mode = mode;
    return acknowledge(option);
}

/* The contexts that a query means; `list`: a namespace alone means all that is in it. */
static uint64_t match(const NbdExport *export, const char *query, bool list)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < context_count(export); i++) {
        AUTO_FREE char *name = context_name(export, i);
        bool all = list && (strcmp(query, i == NBD_BASE_ALLOCATION ? "base:" : "qemu:") == 0 ||
                            (i >= NBD_FIRST_BITMAP && strcmp(query, BITMAP_PREFIX) == 0));
        bool offered = i != NBD_ALLOCATION_DEPTH || export->options.allocation_depth;
        found |= offered && (all || strcmp(query, name) == 0) ? BIT(i) : 0;
    }
    return found;
}

static Next send_contexts(const Option *option, const NbdExport *export, uint64_t contexts, bool list)
{
    Next next = GOES_ON;
    for (unsigned i = 0; next == GOES_ON && i < context_count(export); i++) {
        AUTO_STRBUF(data);
        AUTO_FREE char *name = context_name(export, i);
        nbd_add32(&data, list ? 0 : i);
        strbuf_append(&data, name);
        next = contexts & BIT(i) ? reply(option, NBD_REP_META_CONTEXT, data.data, data.length) : next;
    }
    return next == GOES_ON ? acknowledge(option) : next;
}

static Next meta_context(Option *option)
{
    NbdData *data = &option->data;
    NbdClient *client = option->client;
    bool is_list = option->number == NBD_OPT_LIST_META_CONTEXT;
    client->contexts = is_list ? client->contexts : 0;
    if (client->mode == NBD_SIMPLE) {
        return refuse(option, NBD_ERR_INVALID, "structured replies have not been negotiated");
    }
    AUTO_FREE char *name = nbd_take_text(data, nbd_take32(data));
    uint32_t count = nbd_take32(data);
    NbdExport *export = name ? nbd_server_find_export(client->server, name) : NULL;
    if (!data->bad && !export) {
        return refuse(option, NBD_ERR_UNKNOWN, "export '%s' not present", name);
    }
    bool all = !data->bad && is_list && count == 0;
    uint64_t contexts = all ? match(export, "base:", true) | match(export, "qemu:", true) : 0;
    for (uint32_t i = 0; i < count && !data->bad; i++) {
        AUTO_FREE char *query = nbd_take_text(data, nbd_take32(data));
        contexts |= query ? match(export, query, is_list) : 0;
    }
    if (data->bad || data->left) {
        return refuse(option, NBD_ERR_INVALID, "the lengths in the option are wrong");
    }
    if (!is_list) {
        client->contexts = contexts;
        client->contexts_of = export;
    }
    return send_contexts(option, export, contexts, is_list);
}

static Next run_option(Option *option)
{
    static const struct {
        NbdOption number;
        Next (*run)(Option *option);
    } options[] = {
        { NBD_OPT_EXPORT_NAME, export_name },       { NBD_OPT_ABORT, abort_session },
        { NBD_OPT_LIST, list },                     { NBD_OPT_STARTTLS, start_tls },
        { NBD_OPT_INFO, info_or_go },               { NBD_OPT_GO, info_or_go },
        { NBD_OPT_STRUCTURED_REPLY, choose_mode },  { NBD_OPT_EXTENDED_HEADERS, choose_mode },
        { NBD_OPT_LIST_META_CONTEXT, meta_context }, { NBD_OPT_SET_META_CONTEXT, meta_context },
    };
    bool is_late = option->client->server->options.tls && !option->client->has_tls &&
                   option->number != NBD_OPT_STARTTLS && option->number != NBD_OPT_ABORT;
    if (is_late) {
        return option->number == NBD_OPT_EXPORT_NAME
                   ? ENDED
                   : refuse(option, NBD_ERR_TLS_REQD, "Option 0x%x not permitted before TLS", option->number);
    }
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (options[i].number == option->number) {
            return options[i].run(option);
        }
    }
    return refuse(option, NBD_ERR_UNSUP, "Unsupported option %u", option->number);
}

static Next next_option(NbdClient *client)
{
    uint8_t bytes[NBD_OPTION_HEADER];
    NbdOptionHeader header;
    if (!nbd_channel_read(&client->channel, bytes, sizeof bytes) || !nbd_get_option(bytes, &header)) {
        return ENDED;
    }
    Option option = { .client = client, .number = header.option };
    if (header.length > NBD_MAXIMUM_OPTION) {
        bool goes_on = header.length <= NBD_MAXIMUM_PAYLOAD && header.option != NBD_OPT_EXPORT_NAME &&
                       nbd_channel_skip(&client->channel, header.length);
        return goes_on ? refuse(&option, NBD_ERR_TOO_BIG, "the option is too large") : ENDED;
    }
    AUTO_FREE uint8_t *data = mem_alloc(MAX(header.length, 1));
    if (!nbd_channel_read(&client->channel, data, header.length)) {
        return ENDED;
    }
    option.data = (NbdData){ .at = data, .left = header.length };
    return run_option(&option);
}

bool nbd_handshake(NbdClient *client)
{
    uint8_t greeting[18], answer[4];
    store_be64(greeting, NBD_MAGIC);
    store_be64(greeting + 8, NBD_OPTION_MAGIC);
    store_be16(greeting + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
    struct iovec piece = { greeting, sizeof greeting };
    if (!nbd_channel_write(&client->channel, &piece, 1) || !nbd_channel_read(&client->channel, answer, sizeof answer) ||
        load_be32(answer) & ~(uint32_t)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES)) {
        return false;
    }
    client->no_zeroes = load_be32(answer) & NBD_NO_ZEROES;
    Next next;
    do {
        next = next_option(client);
    } while (next == GOES_ON);
    return next == CHOSEN;
}
