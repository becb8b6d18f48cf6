/* What the parts of the compiled core share. Plain C11, CPython's limited API of 3.11, no global state.
 *
 * The core only saves time. Each class here is a twin of a Python class that does exactly the same; what is rare is not done
 * here at all but handed to Python.
 */
#ifndef HAWSE_CORE_H
#define HAWSE_CORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <structmember.h>

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Names of Python attributes that the hot paths look up, interned once per module. */
typedef struct {
    PyObject *append, *feed, *fileno, *is_plain, *key, *received, *see;
} Names;

typedef struct {
    PyTypeObject *tail_type, *seat_type, *relay_type, *poller_type, *pump_type;
    Names names;
} State;

/* wire/terminal.py, wire/frame.py */
enum { HEADER_BYTES = 5, OUTPUT_HEADER_BYTES = 9, OUTPUT_FRAME_HEADER_BYTES = HEADER_BYTES + OUTPUT_HEADER_BYTES };
enum { FRAME_INPUT = 3, FRAME_OUTPUT = 4, FRAME_RESTORE = 14 };
enum { SOURCE_STDERR = 2 };
enum { SERVER_BODY_BYTES_MAX = 1024 * 1024 };

static inline uint32_t
get_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t
get_u64(const unsigned char *at)
{
    return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

static inline void
put_u32(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)(value >> 24);
    at[1] = (unsigned char)(value >> 16);
    at[2] = (unsigned char)(value >> 8);
    at[3] = (unsigned char)value;
}

static inline void
put_u64(unsigned char *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}

static inline void
put_header(unsigned char *at, uint32_t body_bytes, unsigned char type)
{
    put_u32(at, body_bytes);
    at[4] = type;
}

/* To the kernel's tick (some ms), never in the future: whether somebody was active is asked in seconds. */
static inline long long
coarse_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* module.c */
State *core_state(PyTypeObject *type);                                    /* of one of our types; NULL: exception */
void core_replace(PyObject **slot, PyObject *value);                     /* takes over the reference to `value` */

/* hot.c */
typedef struct {
    PyObject_HEAD
    long long end, room;
    int fd, fault;
    PyObject *marks;
    long long printed_ns; /* CLOCK_MONOTONIC */
} Tail;

typedef struct {
    PyObject_HEAD
    long long cursor, typed_ns; /* typed: CLOCK_MONOTONIC */
    int fd;
} Seat;

/* relay.c */
enum { RELAY_IDLE = 0, RELAY_ENDED = 1, RELAY_REFUSED = 2 };

typedef struct {
    PyObject_HEAD
    Names *names;
    PyTypeObject *seat_type, *seen_type; /* seen: the last one that was known to be a seat */
    Tail *log;
    PyObject *live, *fallen, *kept, *nothing, *typed, *behind, *typist;
    long long calm_until;
    Py_ssize_t input_bytes_max;
    int input_fd, kept_source;
    unsigned char *buffer; /* room for an OUTPUT header, then BURST_BYTES + READ_BYTES */
} Relay;

int relay_pump(Relay *self, int fd, int source);     /* RELAY_*; -1: exception */
int relay_burst(Relay *self, int fd, int source);    /* the same, when it is known to be calm */
int relay_is_calm(Relay *self);                      /* may a burst be relayed without Python's control flow? -1: exception */
int relay_leaves_rest(Relay *self);                  /* is there something kept, or somebody fallen? */
int relay_is_due(Relay *self);                       /* does Python want to know of this much output? */

/* skim.c */
PyObject *core_sequences(PyObject *module, PyObject *args);

/* The types, made into a module's state. */
extern PyType_Spec tail_spec, seat_spec, relay_spec, poller_spec, pump_spec;

#endif
