/* The arithmetic of limits: leaking buckets. */
#include "block/throttle.h"

#include "base/error.h"
#include "base/host/host.h"
#include "base/vec.h"
#include "schema/block.h"

#include <inttypes.h>
#include <math.h>

enum { MILLION = 1000000 };
static const int64_t most = (int64_t)MILLION * MILLION * 1000;
static const double second_ns = 1e9, slack = 0.1; /* seconds that a bucket holds */

/* The rows of a limit, in the order of a Throttle's buckets: totals before reads and writes. */
typedef struct Row {
    size_t average, burst, length;
} Row;

#define ROW(name_) \
    { offsetof(ThrottleLimits, name_), offsetof(ThrottleLimits, name_##_max), \
      offsetof(ThrottleLimits, name_##_max_length) }
static const Row rows[THROTTLE_RATES] = { ROW(iops_total), ROW(iops_read), ROW(iops_write),
                                          ROW(bps_total), ROW(bps_read), ROW(bps_write) };
enum { BYTES = 3 }; /* the first row of bytes */

static int64_t value_at(const ThrottleLimits *limits, size_t offset)
{
    return *(const int64_t *)(const void *)((const char *)limits + offset);
}

static bool check_row(const ThrottleLimits *limits, const Row *row, Error **error)
{
    int64_t average = value_at(limits, row->average), burst = value_at(limits, row->burst),
            length = value_at(limits, row->length);
    if (average < 0 || burst < 0 || average > most || burst > most) {
        return error_set(error, "bps/iops/max values must be within [0, %" PRId64 "]", most);
    }
    if (length < 0 || length > UINT32_MAX) {
        return error_set(error, "the length of a burst must be within [1, %" PRIu32 "]", UINT32_MAX);
    }
    if (length == 0) {
        return error_set(error, "the burst length cannot be 0");
    }
    if (length > 1 && !burst) {
        return error_set(error, "burst length set without burst rate");
    }
    if (burst && length > most / burst) {
        return error_set(error, "burst length too high for this burst rate");
    }
    if (burst && !average) {
        return error_set(error, "bps_max/iops_max require corresponding bps/iops values");
    }
    return !burst || burst >= average || error_set(error, "bps_max/iops_max cannot be lower than bps/iops");
}

/* A total stands beside none of its parts. */
static bool conflicts(const ThrottleLimits *limits, unsigned first)
{
    bool total = value_at(limits, rows[first].average), burst = value_at(limits, rows[first].burst);
    for (unsigned i = first + 1; i < first + 3; i++) {
        if ((total && value_at(limits, rows[i].average)) || (burst && value_at(limits, rows[i].burst))) {
            return true;
        }
    }
    return false;
}

bool throttle_check(const ThrottleLimits *limits, Error **error)
{
    if (conflicts(limits, 0) || conflicts(limits, BYTES)) {
        return error_set(error,
                         "bps/iops/max total values and read/write values cannot be used at the same time");
    }
    if (limits->iops_size < 0 || limits->iops_size > most) {
        return error_set(error, "iops-size must be within [0, %" PRId64 "]", most);
    }
    if (limits->iops_size && !limits->iops_total && !limits->iops_read && !limits->iops_write) {
        return error_set(error, "iops size requires an iops value to be set");
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!check_row(limits, &rows[i], error)) {
            return false;
        }
    }
    return true;
}

void throttle_set(Throttle *throttle, const ThrottleLimits *limits, int64_t now)
{
    *throttle = (Throttle){ .request_bytes = (uint64_t)limits->iops_size, .time = now };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ThrottleBucket *bucket = &throttle->buckets[i];
        bucket->average = (double)value_at(limits, rows[i].average);
        bucket->burst = (double)value_at(limits, rows[i].burst);
        bucket->length = (double)value_at(limits, rows[i].length);
        throttle->limited = throttle->limited || bucket->average > 0;
    }
}

static void leak(Throttle *throttle, int64_t now)
{
    double seconds = (double)(now - throttle->time) / second_ns;
    throttle->time = now;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ThrottleBucket *bucket = &throttle->buckets[i];
        bucket->level = fmax(bucket->level - bucket->average * seconds, 0);
        bucket->burst_level = fmax(bucket->burst_level - bucket->burst * seconds, 0);
    }
}

/* Seconds until the bucket is no longer too full. */
static double bucket_delay(const ThrottleBucket *bucket)
{
    if (bucket->average <= 0) {
        return 0;
    }
    double room = bucket->burst > 0 ? bucket->burst * bucket->length : bucket->average * slack;
    if (bucket->level > room) {
        return (bucket->level - room) / bucket->average;
    }
    bool long_burst = bucket->burst > 0 && bucket->length > 1;
    return long_burst ? fmax(bucket->burst_level - bucket->burst * slack, 0) / bucket->burst : 0;
}

static bool concerns(size_t row, bool write) { return row % 3 == 0 || (row % 3 == 2) == write; }

int64_t throttle_delay(Throttle *throttle, bool write, int64_t now)
{
    double delay = 0;
    leak(throttle, now);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        delay = concerns(i, write) ? fmax(delay, bucket_delay(&throttle->buckets[i])) : delay;
    }
    return (int64_t)ceil(fmin(delay * second_ns, (double)(INT64_MAX / 4)));
}

void throttle_count(Throttle *throttle, bool write, uint64_t bytes)
{
    double requests = throttle->request_bytes && bytes > throttle->request_bytes
                          ? (double)bytes / (double)throttle->request_bytes
                          : 1;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (concerns(i, write)) {
            double units = i >= BYTES ? (double)bytes : requests;
            throttle->buckets[i].level += units;
            throttle->buckets[i].burst_level += units;
        }
    }
}
