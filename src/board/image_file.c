/* Files for a guest's memory: opening, reading, unpacking gzip (RFC 1952, by zlib). */
#include "board/image_file.h"

#include "base/error.h"
#include "base/files.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Takes `name`. */
static ImageFile *image_file_new(char *name, const char *path)
{
    ImageFile *file = NEW(ImageFile);

    file->name = name;
    file->path = string_copy(path);
    file->fd = -1;
    file->references = 1;
    return file;
}

ImageFile *image_file_from_bytes(const char *name, const void *bytes, size_t size)
{
    ImageFile *file = image_file_new(string_copy(name), name);

    file->bytes = mem_copy(bytes, size);
    file->size = size;
    return file;
}

ImageFile *image_file_ref(ImageFile *file)
{
    file->references++;
    return file;
}

void image_file_unref(ImageFile *file)
{
    if (!file || --file->references) {
        return;
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    free(file->bytes);
    free(file->name);
    free(file->path);
    free(file);
}

static bool is_too_large(const ImageFile *file, uint64_t size, uint64_t limit, Error **error)
{
    return size > limit &&
           !error_set(error, "%s: its %" PRIu64 " bytes do not fit into the %" PRIu64 " there are for it", file->name,
                      size, limit);
}

/* What cannot be read at an offset: a pipe, a terminal. */
static bool read_stream(ImageFile *file, uint64_t limit, Error **error)
{
    VEC(uint8_t) bytes = { 0 };
    ssize_t count;

    do {
        vec_reserve(&bytes, bytes.count + 64 * KIB);
        count = read(file->fd, bytes.items + bytes.count, bytes.capacity - bytes.count);
        bytes.count += count > 0 ? (size_t)count : 0;
    } while ((count > 0 && bytes.count <= limit) || (count < 0 && errno == EINTR));
    if (count < 0) {
        error_set_errno(error, errno, "%s: could not be read", file->name);
    }
    close(file->fd);
    file->fd = -1;
    file->bytes = bytes.items;
    file->size = bytes.count;
    return count >= 0;
}

static bool open_file(ImageFile *file, const char *what, Files *files, uint64_t limit, Error **error)
{
    struct stat status;

    file->fd = files_open(files, file->path, O_RDONLY, 0, error);
    if (file->fd < 0) {
        return error_prepend(error, "%s: ", what);
    }
    if (fstat(file->fd, &status) < 0) {
        return error_set_errno(error, errno, "%s: could not be read", file->name);
    }
    if (S_ISDIR(status.st_mode)) {
        return error_set(error, "%s: is a directory", file->name);
    }
    if (S_ISREG(status.st_mode)) {
        file->size = (uint64_t)status.st_size;
    } else if (!read_stream(file, limit, error) || is_too_large(file, file->size, limit, error)) {
        return false;
    }
    return file->size || error_set(error, "%s: is empty", file->name);
}

ImageFile *image_file_open(Files *files, const char *what, const char *path, uint64_t limit, Error **error)
{
    ImageFile *file = image_file_new(string_format("%s '%s'", what, path), path);

    if (!open_file(file, what, files, limit, error)) {
        image_file_unref(file);
        return NULL;
    }
    return file;
}

bool image_file_read(const ImageFile *file, uint64_t offset, void *bytes, size_t count, Error **error)
{
    size_t done = 0;

    if (offset > file->size || count > file->size - offset) {
        return error_set(error, "%s: ends at byte %" PRIu64 ", but %zu bytes from %" PRIu64 " are needed", file->name,
                         file->size, count, offset);
    }
    if (file->bytes) {
        memcpy(bytes, file->bytes + offset, count);
        return true;
    }
    while (done < count) {
        ssize_t got = pread(file->fd, (uint8_t *)bytes + done, count - done, (off_t)(offset + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            return error_set(error, "%s: has become shorter", file->name);
        } else if (errno != EINTR) {
            return error_set_errno(error, errno, "%s: could not be read", file->name);
        }
    }
    return true;
}

bool image_file_is_gzip(const ImageFile *file)
{
    uint8_t magic[3];

    return image_file_read(file, 0, magic, sizeof magic, NULL) && magic[0] == 0x1f && magic[1] == 0x8b &&
           magic[2] == Z_DEFLATED;
}

enum { CHUNK = 64 * 1024 };

/* Unpacks what the stream has been given. Returns zlib's word on it. */
static int inflate_given(z_stream *stream, ImageFile *unpacked, size_t *capacity, uint64_t limit)
{
    int result;

    do {
        if (*capacity - unpacked->size < CHUNK) {
            unpacked->bytes = vec_grow(unpacked->bytes, capacity, unpacked->size + CHUNK, 1);
        }
        stream->next_out = unpacked->bytes + unpacked->size;
        stream->avail_out = CHUNK;
        result = inflate(stream, Z_NO_FLUSH);
        unpacked->size += CHUNK - stream->avail_out;
    } while (result == Z_OK && (stream->avail_in || !stream->avail_out) && unpacked->size <= limit);
    return result == Z_BUF_ERROR ? Z_OK : result; /* it wants more */
}

static bool inflate_all(z_stream *stream, const ImageFile *file, uint64_t offset, uint64_t count, ImageFile *unpacked,
                        uint64_t limit, Error **error)
{
    AUTO_FREE uint8_t *packed = mem_alloc(CHUNK);
    size_t capacity = 0;
    int result = Z_OK;

    while (count && result == Z_OK && unpacked->size <= limit) {
        size_t part = MIN(count, CHUNK);
        if (!image_file_read(file, offset, packed, part, error)) {
            return false;
        }
        stream->next_in = packed;
        stream->avail_in = (uInt)part;
        result = inflate_given(stream, unpacked, &capacity, limit);
        offset += part;
        count -= part;
    }
    if (is_too_large(unpacked, unpacked->size, limit, error)) {
        return false;
    }
    if (result != Z_STREAM_END) {
        return error_set(error, "%s: its gzip data %s", file->name, result == Z_OK ? "ends too early" : "are damaged");
    }
    return unpacked->size || error_set(error, "%s: there is nothing in its gzip data", file->name);
}

ImageFile *image_file_inflate(const ImageFile *file, uint64_t offset, uint64_t count, uint64_t limit, Error **error)
{
    enum { GZIP_ONLY = 16 + MAX_WBITS };
    z_stream stream = { 0 };
    ImageFile *unpacked = image_file_new(string_copy(file->name), file->path);
    bool ok = inflateInit2(&stream, GZIP_ONLY) == Z_OK;
    if (!ok) {
        error_set(error, "%s: zlib does not start", file->name);
    } else {
        ok = inflate_all(&stream, file, offset, count, unpacked, limit, error);
        inflateEnd(&stream);
    }
    if (!ok) {
        image_file_unref(unpacked);
        return NULL;
    }
    return unpacked;
}
