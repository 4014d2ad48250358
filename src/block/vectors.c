/* Memory in pieces. */
#include "block/request.h"

#include "base/vec.h"

/* The next piece from the current place on, at most `limit` bytes; moves the place behind it. */
static struct iovec next_piece(BlockVectors *vectors, size_t limit)
{
    while (vectors->count > 0 && vectors->skip >= vectors->items->iov_len) {
        vectors->skip -= vectors->items->iov_len;
        vectors->items++;
        vectors->count--;
    }
    if (vectors->count == 0) {
        return (struct iovec){ 0 };
    }
    size_t length = MIN(vectors->items->iov_len - vectors->skip, limit);
    struct iovec piece = { (char *)vectors->items->iov_base + vectors->skip, length };
    vectors->skip += length;
    return piece;
}

void block_vectors_read(BlockVectors from, void *bytes, size_t count)
{
    for (char *to = bytes; count > 0;) {
        struct iovec piece = next_piece(&from, count);
        assert(piece.iov_len > 0);
        memcpy(to, piece.iov_base, piece.iov_len);
        to += piece.iov_len;
        count -= piece.iov_len;
    }
}

void block_vectors_write(BlockVectors to, const void *bytes, size_t count)
{
    for (const char *from = bytes; count > 0;) {
        struct iovec piece = next_piece(&to, count);
        assert(piece.iov_len > 0);
        memcpy(piece.iov_base, from, piece.iov_len);
        from += piece.iov_len;
        count -= piece.iov_len;
    }
}

void block_vectors_fill(BlockVectors to, uint8_t value, size_t count)
{
    while (count > 0) {
        struct iovec piece = next_piece(&to, count);
        assert(piece.iov_len > 0);
        memset(piece.iov_base, value, piece.iov_len);
        count -= piece.iov_len;
    }
}

bool block_vectors_are_zero(BlockVectors vectors, size_t count)
{
    while (count > 0) {
        struct iovec piece = next_piece(&vectors, count);
        const char *bytes = piece.iov_base;
        assert(piece.iov_len > 0);
        if (bytes[0] || memcmp(bytes, bytes + 1, piece.iov_len - 1) != 0) {
            return false;
        }
        count -= piece.iov_len;
    }
    return true;
}

unsigned block_vectors_cut(BlockVectors vectors, struct iovec *to, unsigned limit, size_t *bytes)
{
    size_t left = *bytes;
    unsigned used = 0;
    while (left > 0 && used < limit) {
        struct iovec piece = next_piece(&vectors, left);
        if (piece.iov_len == 0) {
            break;
        }
        to[used++] = piece;
        left -= piece.iov_len;
    }
    *bytes -= left;
    return used;
}
