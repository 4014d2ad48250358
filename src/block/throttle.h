/*
 * Limits to how much goes through: numbers of requests and bytes a second, for reads, writes or both, with bursts of a
 * length. A group has one set of limits, which its members (filters, users' edges) share, each in turn.
 *
 * Each limit is a bucket that leaks at its average rate. Without a burst it holds a tenth of a second; with one, as
 * much as the burst's rate gives in its length, and where that is more than a second, a second bucket that leaks at
 * the burst's rate and holds a tenth of a second of it. A request waits until no bucket is too full, and then is put
 * in.
 */
#pragma once

#include "object/object.h"

typedef struct BlockGraph BlockGraph;
typedef struct BlockTask BlockTask;
typedef struct ThrottleLimits ThrottleLimits;

enum { THROTTLE_RATES = 6 }; /* requests and bytes: of all, reads, writes */

typedef struct ThrottleBucket {
    double average, burst; /* units a second; 0: no limit, no burst */
    double length;         /* of the burst, seconds */
    double level, burst_level;
} ThrottleBucket;

typedef struct Throttle {
    ThrottleBucket buckets[THROTTLE_RATES];
    uint64_t request_bytes; /* that count as one request; 0: any number */
    int64_t time;           /* when it last leaked */
    bool limited;
} Throttle;

/* Whether the limits fit together. */
bool throttle_check(const ThrottleLimits *limits, Error **error);
void throttle_set(Throttle *throttle, const ThrottleLimits *limits, int64_t now);
/* How long a request has to wait from `now` on; 0: not at all. */
int64_t throttle_delay(Throttle *throttle, bool write, int64_t now);
void throttle_count(Throttle *throttle, bool write, uint64_t bytes);

typedef struct ThrottleGroup ThrottleGroup; /* an Object of throttle_group_class */
extern const Class throttle_group_class;

/* A group by its name: an object, or one that drives made. Borrowed; NULL where there is none. */
ThrottleGroup *throttle_group_find(BlockGraph *graph, const char *name);
/* The same, made where it is missing; the caller's. NULL with an error. */
ThrottleGroup *throttle_group_get(BlockGraph *graph, const char *name, Error **error);
void throttle_group_unref(ThrottleGroup *group); /* one that drives made goes with the last of them */
const char *throttle_group_name(const ThrottleGroup *group);
void throttle_group_limits(ThrottleGroup *group, ThrottleLimits *limits);
bool throttle_group_set_limits(ThrottleGroup *group, const ThrottleLimits *limits, Error **error);
bool throttle_group_is_limited(const ThrottleGroup *group);
/* Until as many ends as beginnings, nobody waits. */
void throttle_group_drain(ThrottleGroup *group, bool begins);

typedef struct ThrottleMember ThrottleMember;
ThrottleMember *throttle_join(ThrottleGroup *group); /* holds a reference */
void throttle_leave(ThrottleMember *member);         /* without a request; NULL is fine */
ThrottleGroup *throttle_member_group(const ThrottleMember *member);
/* Returns when such a request may go; ECANCELED where its task was cancelled. Any loop. */
int throttle_pass(ThrottleMember *member, BlockTask *self, bool write, uint64_t bytes);
