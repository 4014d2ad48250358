/* Latencies of a user's requests: by intervals, and as histograms. */
#include "block/statistics.h"

#include "base/host/host.h"
#include "base/thread.h"
#include "base/vec.h"
#include "block/driver.h"

enum { WINDOWS = 2, SECOND_NS = 1000000000 };

/* Two windows as long as the interval, half of it apart: the one that has been open longer tells. */
typedef struct Window {
    int64_t end; /* when it starts anew */
    uint64_t count, sum, minimum, maximum;
} Window;

typedef struct Interval {
    unsigned seconds;
    Window windows[BLOCK_LATENCY_COUNT][WINDOWS];
} Interval;

typedef struct BlockDetail {
    Mutex mutex; /* of all that follows */
    bool ignores_invalid, ignores_failed; /* written before there are requests */
    VEC(Interval) intervals;
    BlockHistogram histograms[BLOCK_LATENCY_COUNT];
} BlockDetail;

static BlockDetail *detail_of(BlockEdge *edge)
{
    if (!edge->detail) {
        BlockDetail *detail = NEW(BlockDetail);
        *detail = (BlockDetail){ 0 };
        mutex_init(&detail->mutex);
        block_graph_drain_begin(edge->graph);
        edge->detail = detail;
        block_graph_drain_end(edge->graph);
    }
    return edge->detail;
}

static void clear_histogram(BlockHistogram *histogram)
{
    free(histogram->boundaries);
    free(histogram->bins);
    *histogram = (BlockHistogram){ 0 };
}

void block_detail_free(BlockDetail *detail)
{
    for (unsigned i = 0; detail && i < BLOCK_LATENCY_COUNT; i++) {
        clear_histogram(&detail->histograms[i]);
    }
    if (detail) {
        vec_free(&detail->intervals);
        mutex_destroy(&detail->mutex);
    }
    free(detail);
}

/* What counts */

void block_edge_account(BlockEdge *edge, bool invalid, bool failed)
{
    if (edge->detail || !invalid || !failed) {
        BlockDetail *detail = detail_of(edge);
        detail->ignores_invalid = !invalid;
        detail->ignores_failed = !failed;
    }
}

bool block_edge_accounts_invalid(const BlockEdge *edge) { return !edge->detail || !edge->detail->ignores_invalid; }
bool block_edge_accounts_failed(const BlockEdge *edge) { return !edge->detail || !edge->detail->ignores_failed; }

/* Intervals */

static void renew(const Interval *interval, Window *window, int64_t now)
{
    int64_t length = (int64_t)interval->seconds * SECOND_NS;
    if (now >= window->end) {
        *window = (Window){ .end = now + length - (now - window->end) % length };
    }
}

void block_edge_add_interval(BlockEdge *edge, unsigned seconds)
{
    BlockDetail *detail = detail_of(edge);
    Interval interval = { .seconds = seconds };
    int64_t now = host_monotonic_ns(), half = (int64_t)seconds * SECOND_NS / WINDOWS;
    for (unsigned i = 0; i < BLOCK_LATENCY_COUNT; i++) {
        for (unsigned j = 0; j < WINDOWS; j++) {
            interval.windows[i][j].end = now + (j + 1) * half;
        }
    }
    mutex_lock(&detail->mutex);
    vec_push(&detail->intervals, interval);
    mutex_unlock(&detail->mutex);
}

bool block_edge_interval(BlockEdge *edge, size_t i, BlockInterval *result)
{
    BlockDetail *detail = edge->detail;
    if (!detail || i >= detail->intervals.count) {
        return false;
    }
    mutex_lock(&detail->mutex);
    Interval *interval = &detail->intervals.items[i];
    int64_t now = host_monotonic_ns(), length = (int64_t)interval->seconds * SECOND_NS;
    *result = (BlockInterval){ .seconds = interval->seconds };
    for (unsigned kind = 0; kind < BLOCK_LATENCY_COUNT; kind++) {
        Window *windows = interval->windows[kind];
        for (unsigned j = 0; j < WINDOWS; j++) {
            renew(interval, &windows[j], now);
        }
        const Window *window = &windows[windows[1].end < windows[0].end];
        int64_t open = length - (window->end - now);
        result->kinds[kind].minimum = window->minimum;
        result->kinds[kind].maximum = window->maximum;
        result->kinds[kind].average = window->count ? window->sum / window->count : 0;
        result->kinds[kind].queue_depth = open > 0 ? (double)window->sum / (double)open : 0;
    }
    mutex_unlock(&detail->mutex);
    return true;
}

static void note_interval(Interval *interval, BlockLatencyKind kind, int64_t now, uint64_t time)
{
    for (unsigned i = 0; i < WINDOWS; i++) {
        Window *window = &interval->windows[kind][i];
        renew(interval, window, now);
        window->minimum = window->count ? MIN(window->minimum, time) : time;
        window->maximum = MAX(window->maximum, time);
        window->sum += time;
        window->count++;
    }
}

/* Histograms */

bool block_edge_set_histogram(BlockEdge *edge, BlockLatencyKind kind, const uint64_t *boundaries, size_t count)
{
    if (!boundaries && !edge->detail) {
        return true;
    }
    for (size_t i = 0; boundaries && i < count; i++) {
        if (boundaries[i] <= (i ? boundaries[i - 1] : 0)) {
            return false;
        }
    }
    if (boundaries && count == 0) {
        return false;
    }
    BlockDetail *detail = detail_of(edge);
    BlockHistogram *histogram = &detail->histograms[kind];
    mutex_lock(&detail->mutex);
    clear_histogram(histogram);
    if (boundaries) {
        histogram->count = count;
        histogram->boundaries = mem_alloc_array(count, sizeof *boundaries);
        histogram->bins = mem_alloc_array(count + 1, sizeof *histogram->bins);
        memcpy(histogram->boundaries, boundaries, count * sizeof *boundaries);
    }
    mutex_unlock(&detail->mutex);
    return true;
}

BlockHistogram block_edge_histogram(BlockEdge *edge, BlockLatencyKind kind)
{
    BlockHistogram result = { 0 };
    if (!edge->detail) {
        return result;
    }
    mutex_lock(&edge->detail->mutex);
    const BlockHistogram *from = &edge->detail->histograms[kind];
    if (from->boundaries) {
        result.count = from->count;
        result.boundaries = mem_alloc_array(from->count, sizeof *result.boundaries);
        result.bins = mem_alloc_array(from->count + 1, sizeof *result.bins);
        memcpy(result.boundaries, from->boundaries, from->count * sizeof *result.boundaries);
        memcpy(result.bins, from->bins, (from->count + 1) * sizeof *result.bins);
    }
    mutex_unlock(&edge->detail->mutex);
    return result;
}

static void note_histogram(BlockHistogram *histogram, uint64_t time)
{
    size_t low = 0, high = histogram->count; /* the first boundary above `time` is in low..high */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (time < histogram->boundaries[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    histogram->bins[low]++;
}

/* Requests */

void block_detail_note(BlockDetail *detail, BlockOperation operation, int64_t now, uint64_t time, bool failed)
{
    static const BlockLatencyKind kinds[BLOCK_OPERATION_COUNT] = {
        [BLOCK_READ] = BLOCK_LATENCY_READ, [BLOCK_WRITE] = BLOCK_LATENCY_WRITE,
        [BLOCK_WRITE_ZEROES] = BLOCK_LATENCY_WRITE, [BLOCK_DISCARD] = BLOCK_LATENCY_COUNT,
        [BLOCK_FLUSH] = BLOCK_LATENCY_FLUSH,
    };
    BlockLatencyKind kind = kinds[operation];
    if (kind == BLOCK_LATENCY_COUNT) {
        return;
    }
    mutex_lock(&detail->mutex);
    if (detail->histograms[kind].boundaries) {
        note_histogram(&detail->histograms[kind], time);
    }
    for (size_t i = 0; i < detail->intervals.count && !(failed && detail->ignores_failed); i++) {
        note_interval(&detail->intervals.items[i], kind, now, time);
    }
    mutex_unlock(&detail->mutex);
}
