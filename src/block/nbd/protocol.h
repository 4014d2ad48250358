/*
 * The NBD protocol's numbers and headers, for both ends; after doc/proto.md of the Network Block Device project with
 * its extension of extended headers. All numbers are big-endian on the wire.
 *
 * Readers take what a peer sent, of a length that is known, and say what does not fit it; they trust no field of it.
 */
#pragma once

#include "base/compiler.h"

#include <sys/types.h>

typedef struct StrBuf StrBuf;

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)         /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC UINT64_C(0x49484156454f5054)  /* "IHAVEOPT" */
#define NBD_OPTION_REPLY_MAGIC UINT64_C(0x3e889045565a9)
#define NBD_OLD_MAGIC UINT64_C(0x00420281861253) /* of servers without options */

enum {
    NBD_PORT = 10809,
    NBD_MAXIMUM_STRING = 4096,
    NBD_MAXIMUM_PAYLOAD = 32 << 20, /* of reads and writes */
    NBD_MAXIMUM_OPTION = 32 << 10,  /* of an option's data, or a reply's to it, that we take */
    NBD_MAXIMUM_EXTENTS = 2048,     /* that we put into one reply, for one context */
};

typedef enum NbdHandshakeFlags { NBD_FIXED_NEWSTYLE = 1, NBD_NO_ZEROES = 2 } NbdHandshakeFlags;

typedef enum NbdExportFlags {
    NBD_HAS_FLAGS = 1 << 0,
    NBD_READ_ONLY = 1 << 1,
    NBD_SEND_FLUSH = 1 << 2,
    NBD_SEND_FUA = 1 << 3,
    NBD_ROTATIONAL = 1 << 4,
    NBD_SEND_TRIM = 1 << 5,
    NBD_SEND_WRITE_ZEROES = 1 << 6,
    NBD_SEND_DF = 1 << 7,
    NBD_CAN_MULTI_CONN = 1 << 8,
    NBD_SEND_RESIZE = 1 << 9,
    NBD_SEND_CACHE = 1 << 10,
    NBD_SEND_FAST_ZERO = 1 << 11,
    NBD_BLOCK_STATUS_PAYLOAD = 1 << 12,
} NbdExportFlags;

typedef enum NbdOption {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
    NBD_OPT_EXTENDED_HEADERS = 11,
} NbdOption;

#define NBD_REP_ERROR UINT32_C(0x80000000)
enum {
    NBD_REP_ACK = 1,
    NBD_REP_SERVER = 2,
    NBD_REP_INFO = 3,
    NBD_REP_META_CONTEXT = 4,
    /* With NBD_REP_ERROR: */
    NBD_ERR_UNSUP = 1,
    NBD_ERR_POLICY = 2,
    NBD_ERR_INVALID = 3,
    NBD_ERR_PLATFORM = 4,
    NBD_ERR_TLS_REQD = 5,
    NBD_ERR_UNKNOWN = 6,
    NBD_ERR_SHUTDOWN = 7,
    NBD_ERR_BLOCK_SIZE_REQD = 8,
    NBD_ERR_TOO_BIG = 9,
    NBD_ERR_EXT_HEADER_REQD = 10,
};

typedef enum NbdInfo { NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE } NbdInfo;

typedef enum NbdCommand {
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_CMD_DISC,
    NBD_CMD_FLUSH,
    NBD_CMD_TRIM,
    NBD_CMD_CACHE,
    NBD_CMD_WRITE_ZEROES,
    NBD_CMD_BLOCK_STATUS,
    NBD_CMD_COUNT,
} NbdCommand;

typedef enum NbdCommandFlags {
    NBD_FUA = 1,
    NBD_NO_HOLE = 2,
    NBD_DF = 4,
    NBD_REQ_ONE = 8,
    NBD_FAST_ZERO = 16,
    NBD_PAYLOAD_LEN = 32,
} NbdCommandFlags;

enum {
    NBD_REPLY_DONE = 1, /* a flag */
    NBD_REPLY_NONE = 0,
    NBD_REPLY_OFFSET_DATA = 1,
    NBD_REPLY_OFFSET_HOLE = 2,
    NBD_REPLY_BLOCK_STATUS = 5,
    NBD_REPLY_BLOCK_STATUS_EXT = 6,
    NBD_REPLY_ERROR = 0x8001,
    NBD_REPLY_ERROR_OFFSET = 0x8002,
    NBD_REPLY_IS_ERROR = 0x8000,
};

enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 }; /* of base:allocation */

/* How requests and replies look. */
typedef enum NbdMode { NBD_SIMPLE, NBD_STRUCTURED, NBD_EXTENDED } NbdMode;

/* Errors on the wire; what the protocol has no number for is EINVAL. */
uint32_t nbd_from_errno(int error);
int nbd_to_errno(uint32_t error); /* EINVAL for what it does not know, EIO for 0 */

/* Headers */

enum { NBD_OPTION_HEADER = 16, NBD_OPTION_REPLY_HEADER = 20 };
typedef struct NbdOptionHeader {
    uint32_t option, length;
} NbdOptionHeader;
bool nbd_get_option(const uint8_t *from, NbdOptionHeader *header);
void nbd_put_option(uint8_t *to, NbdOptionHeader header);

typedef struct NbdOptionReply {
    uint32_t option, type, length;
} NbdOptionReply;
void nbd_put_option_reply(uint8_t *to, NbdOptionReply header);
bool nbd_get_option_reply(const uint8_t *from, NbdOptionReply *header);

enum { NBD_LONGEST_HEADER = 32 };
typedef struct NbdRequest {
    uint16_t flags, command;
    uint64_t cookie, offset, length;
} NbdRequest;
size_t nbd_request_size(NbdMode mode);
bool nbd_get_request(const uint8_t *from, NbdMode mode, NbdRequest *request);
size_t nbd_put_request(uint8_t *to, NbdMode mode, const NbdRequest *request); /* its size */

/* A reply, or one chunk of it. */
typedef struct NbdReply {
    uint32_t error; /* of a simple one */
    uint16_t flags, type; /* of others */
    uint64_t cookie, offset, length;
} NbdReply;
size_t nbd_put_reply(uint8_t *to, NbdMode mode, const NbdReply *reply); /* its size */
/* The mode that a reply's first four bytes say; false where they are none. */
bool nbd_get_reply_mode(const uint8_t *from, NbdMode *mode);
size_t nbd_reply_size(NbdMode mode);
/* A simple reply's flags and type are those of the only chunk. */
void nbd_get_reply(const uint8_t *from, NbdMode mode, NbdReply *reply);

/* What is in options and replies to them */

/* A place in data that came; a number that is not there is 0 and makes `bad` true. */
typedef struct NbdData {
    const uint8_t *at;
    size_t left;
    bool bad;
} NbdData;
uint16_t nbd_take16(NbdData *data);
uint32_t nbd_take32(NbdData *data);
uint64_t nbd_take64(NbdData *data);
/* Text of at most NBD_MAXIMUM_STRING bytes without NULs, the caller's; NULL makes `bad` true. */
char *nbd_take_text(NbdData *data, size_t length);

void nbd_add16(StrBuf *to, uint16_t value);
void nbd_add32(StrBuf *to, uint32_t value);
void nbd_add64(StrBuf *to, uint64_t value);
