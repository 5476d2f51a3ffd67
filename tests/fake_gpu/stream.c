/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, each a thread, and events. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_gpu/inside.h"

#define LAUNCH_FAILED 98 /* cudaErrorInvalidDeviceFunction */

struct item {
    struct item *next;
    void (*run)(void *);
    void *context;
};

struct fake_stream {
    struct fake_stream *next; /* of those that are remembered */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct item *first, **last;
    bool runs; /* an item of it, now */
    bool ends, captures;
    pthread_t thread;
};

/* An event is recorded many times; who waits for it waits for the record before. */
struct fake_event {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned recorded, done;
    bool has_time;
    struct timespec done_at; /* the last */
    unsigned users;          /* the handle, and what lies on streams */
};

struct mark {
    struct fake_event *event;
    unsigned number;
};

static struct fake_stream *legacy[FAKE_GPU_DEVICES]; /* under fake_lock */

static void *serve(void *argument)
{
    struct fake_stream *s = argument;
    pthread_mutex_lock(&s->lock);
    while (!s->ends || s->first != NULL) {
        struct item *item = s->first;
        if (item == NULL) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        s->first = item->next;
        if (s->first == NULL) {
            s->last = &s->first;
        }
        s->runs = true;
        pthread_mutex_unlock(&s->lock);
        item->run(item->context);
        free(item);
        fault_pending(-1);
        pthread_mutex_lock(&s->lock);
        s->runs = false;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Those that were not destroyed, as a device that is lost destroys none, and those that still run:
 * they are remembered, and no leak of whom the test is of. */
static struct fake_stream *remembered;
static pthread_mutex_t remembered_lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(struct fake_stream *s)
{
    pthread_mutex_lock(&remembered_lock);
    s->next = remembered;
    remembered = s;
    pthread_mutex_unlock(&remembered_lock);
}

static void forget(const struct fake_stream *s)
{
    pthread_mutex_lock(&remembered_lock);
    struct fake_stream **at = &remembered;
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    pthread_mutex_unlock(&remembered_lock);
}

static struct fake_stream *stream_make(void)
{
    struct fake_stream *s = calloc(1, sizeof(*s));
    sigset_t all, before;
    if (s == NULL) {
        abort();
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->last = &s->first;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&s->thread, NULL, serve, s) != 0) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    remember(s);
    return s;
}

struct fake_stream *stream_of(void *handle)
{
    if (handle != NULL) {
        return handle;
    }
    int device = current_device() < 0 ? 0 : current_device();
    pthread_mutex_lock(&fake_lock);
    if (legacy[device] == NULL) {
        legacy[device] = stream_make();
    }
    pthread_mutex_unlock(&fake_lock);
    return legacy[device];
}

bool stream_captures(const struct fake_stream *stream)
{
    return stream->captures;
}

void stream_put(struct fake_stream *s, void (*run)(void *), void *context)
{
    struct item *item = malloc(sizeof(*item));
    if (item == NULL) {
        abort();
    }
    *item = (struct item){.run = run, .context = context};
    fault_pending(1);
    pthread_mutex_lock(&s->lock);
    *s->last = item;
    s->last = &item->next;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* As the driver's, a stream that is destroyed does what is on it first, behind the caller's
 * back. */
static void stream_end(struct fake_stream *s, bool waits)
{
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (waits) {
        pthread_join(s->thread, NULL);
        forget(s);
        free(s);
    } else {
        pthread_detach(s->thread); /* and its memory stays */
    }
}

static bool is_idle(struct fake_stream *s)
{
    pthread_mutex_lock(&s->lock);
    bool idle = s->first == NULL && !s->runs;
    pthread_mutex_unlock(&s->lock);
    return idle;
}

int cuStreamCreateWithPriority(void **stream, unsigned flags, int priority)
{
    FAKE_CALL(true);
    if (flags > DRIVER_STREAM_NON_BLOCKING) {
        return DRIVER_ERR_INVALID;
    }
    *stream = stream_make();
    pthread_mutex_lock(&fake_lock);
    fake_counts.streams++;
    fake_counts.low_priority += priority == 0;
    pthread_mutex_unlock(&fake_lock);
    return DRIVER_OK;
}

int cuStreamDestroy_v2(void *stream)
{
    FAKE_CALL(true);
    if (stream == NULL) {
        return DRIVER_ERR_HANDLE;
    }
    stream_end(stream, is_idle(stream));
    pthread_mutex_lock(&fake_lock);
    fake_counts.streams--;
    pthread_mutex_unlock(&fake_lock);
    return DRIVER_OK;
}

int cuStreamIsCapturing(void *stream, int *status)
{
    FAKE_CALL(true);
    *status = stream_of(stream)->captures ? 1 : DRIVER_CAPTURE_NONE;
    return DRIVER_OK;
}

int cuStreamQuery(void *stream)
{
    FAKE_CALL(true);
    return is_idle(stream_of(stream)) ? DRIVER_OK : DRIVER_ERR_NOT_READY;
}

int cuStreamSynchronize(void *stream)
{
    FAKE_CALL(true);
    fake_gpu_synchronize(stream);
    return fault_of_call(true);
}

static void event_leave(struct fake_event *event)
{
    pthread_mutex_lock(&event->lock);
    bool is_last = --event->users == 0;
    pthread_mutex_unlock(&event->lock);
    if (is_last) {
        free(event);
    }
}

static void mark_done(void *context)
{
    struct mark *mark = context;
    pthread_mutex_lock(&mark->event->lock);
    mark->event->done = mark->number > mark->event->done ? mark->number : mark->event->done;
    clock_gettime(CLOCK_MONOTONIC, &mark->event->done_at);
    pthread_cond_broadcast(&mark->event->changed);
    pthread_mutex_unlock(&mark->event->lock);
    event_leave(mark->event);
    free(mark);
}

static void mark_await(void *context)
{
    struct mark *mark = context;
    pthread_mutex_lock(&mark->event->lock);
    while (mark->event->done < mark->number) {
        pthread_cond_wait(&mark->event->changed, &mark->event->lock);
    }
    pthread_mutex_unlock(&mark->event->lock);
    event_leave(mark->event);
    free(mark);
}

static struct mark *mark_make(struct fake_event *event, bool records)
{
    struct mark *mark = malloc(sizeof(*mark));
    if (mark == NULL) {
        abort();
    }
    pthread_mutex_lock(&event->lock);
    event->recorded += records ? 1 : 0;
    event->users++;
    *mark = (struct mark){event, event->recorded};
    pthread_mutex_unlock(&event->lock);
    return mark;
}

int cuEventCreate(void **event, unsigned flags)
{
    FAKE_CALL(true);
    struct fake_event *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        abort();
    }
    made->has_time = (flags & DRIVER_EVENT_NO_TIMING) == 0;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    made->users = 1;
    *event = made;
    pthread_mutex_lock(&fake_lock);
    fake_counts.events++;
    pthread_mutex_unlock(&fake_lock);
    return DRIVER_OK;
}

int cuEventDestroy_v2(void *event)
{
    FAKE_CALL(true);
    event_leave(event);
    pthread_mutex_lock(&fake_lock);
    fake_counts.events--;
    pthread_mutex_unlock(&fake_lock);
    return DRIVER_OK;
}

int cuEventRecord(void *event, void *stream)
{
    FAKE_CALL(true);
    struct fake_stream *s = stream_of(stream);
    if (s->captures) {
        return DRIVER_ERR_CAPTURE;
    }
    stream_put(s, mark_done, mark_make(event, true));
    return DRIVER_OK;
}

int cuStreamWaitEvent(void *stream, void *event, unsigned flags)
{
    FAKE_CALL(true);
    struct fake_stream *s = stream_of(stream);
    if (flags != 0 || s->captures) {
        return flags != 0 ? DRIVER_ERR_INVALID : DRIVER_ERR_CAPTURE;
    }
    stream_put(s, mark_await, mark_make(event, false));
    return DRIVER_OK;
}

int cuEventQuery(void *handle)
{
    FAKE_CALL(true);
    struct fake_event *event = handle;
    pthread_mutex_lock(&event->lock);
    bool is_done = event->done >= event->recorded;
    pthread_mutex_unlock(&event->lock);
    return is_done ? DRIVER_OK : DRIVER_ERR_NOT_READY;
}

/* 0: it has been; DRIVER_ERR_NOT_READY; DRIVER_ERR_HANDLE, it is none with a time. */
static int look_when(struct fake_event *event, struct timespec *at_out)
{
    pthread_mutex_lock(&event->lock);
    int error = !event->has_time || event->recorded == 0 ? DRIVER_ERR_HANDLE
                : event->done < event->recorded          ? DRIVER_ERR_NOT_READY
                                                         : DRIVER_OK;
    *at_out = event->done_at;
    pthread_mutex_unlock(&event->lock);
    return error;
}

int cuEventElapsedTime(float *ms, void *begin, void *end)
{
    FAKE_CALL(true);
    struct timespec from, to;
    int error = look_when(begin, &from);
    error = error != DRIVER_OK ? error : look_when(end, &to);
    if (error == DRIVER_OK) {
        *ms = (float)((double)(to.tv_sec - from.tv_sec) * 1e3 +
                      (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    }
    return error;
}

int cuLaunchHostFunc(void *stream, void (*run)(void *), void *context)
{
    FAKE_CALL(true);
    struct fake_stream *s = stream_of(stream);
    if (s->captures) {
        return DRIVER_ERR_CAPTURE;
    }
    if (fault_of_kernel()) {
        return LAUNCH_FAILED;
    }
    stream_put(s, run, context);
    return DRIVER_OK;
}

void *fake_gpu_stream(int device)
{
    (void)device;
    return stream_make();
}

void fake_gpu_stream_end(void *stream)
{
    stream_end(stream, true);
}

void fake_gpu_capture(void *stream, bool captures)
{
    stream_of(stream)->captures = captures;
}

void fake_gpu_synchronize(void *stream)
{
    struct fake_stream *s = stream_of(stream);
    pthread_mutex_lock(&s->lock);
    while (s->first != NULL || s->runs) {
        pthread_cond_wait(&s->changed, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

struct later {
    void *address;
    size_t count;
    unsigned delay_ms;
    uint8_t bytes[];
};

static void write_now(void *context)
{
    struct later *later = context;
    struct timespec delay = {later->delay_ms / 1000, (long)(later->delay_ms % 1000) * 1000000};
    nanosleep(&delay, NULL);
    memcpy(later->address, later->bytes, later->count);
    free(later);
}

void fake_gpu_write_later(void *stream, void *address, const void *bytes, size_t count,
                          unsigned delay_ms)
{
    struct later *later = malloc(sizeof(*later) + count);
    if (later == NULL) {
        abort();
    }
    *later = (struct later){address, count, delay_ms};
    memcpy(later->bytes, bytes, count);
    stream_put(stream_of(stream), write_now, later);
}
