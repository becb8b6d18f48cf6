/* The twin of hawse.cli.attach.pump.Pump: typed bytes to the runner, output to the terminal, until somebody must decide.
 *
 * The detach key and the terminal's modes stay Python objects. They are asked only when there is something for them in the
 * bytes: keys.feed when the key was typed, modes.see when a sequence that sets modes is shown.
 */
#include "core.h"

#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

/* pump.py */
enum { RECEIVE_BYTES = 256 * 1024, TYPE_BYTES = 16 * 1024, WAKE_BYTES = 256, UNSENT_BYTES_MAX = 4 * 1024 * 1024 };
enum { LINK_GONE = -1, INPUT_GONE = -2, OUTPUT_GONE = -3, WOKEN = -4, KEY_DETACH = -5, KEY_HELP = -6, NONSENSE = -7,
       TIMEOUT = -8, INPUT_FULL = -9, INPUT_TAKEN = -10, KEY_TAKE = -11 };
/* As long as an echo usually takes; the longest key's sequence, with room. */
enum { ECHO_US = 250, KEYSTROKE_BYTES = 16 };
/* modes.py: ESC [ ? 1 to 60 digits and semicolons, then h or l */
enum { MODE_NUMBERS_MAX = 60, MODE_PREFIX_BYTES = 3 };

typedef struct {
    unsigned char *data;
    size_t start, end, room; /* what is there: data[start:end] */
} Bytes;

typedef struct {
    PyObject_HEAD
    Names *names;
    PyObject *keys, *modes, *sock, *events;
    int input_fd, output_fd, error_fd, wake_fd, socket_fd;
    char sends_input, listens, keys_armed, runs;
    char awaits_echo; /* a keystroke was sent just now */
    char has_more; /* frames wait behind one that the owner must see first */
    char is_full; /* what is typed goes nowhere until all that waits is taken */
    int key; /* the detach key; -1: none */
    unsigned long long offset, lost;
    size_t unsent_bytes_max;
    Bytes received, unsent;
    size_t mode_bytes; /* of an unfinished sequence in `mode` */
    unsigned char mode[MODE_PREFIX_BYTES + MODE_NUMBERS_MAX + 1];
} Pump;

/* -- bytes that wait --------------------------------------------------------------------------------------------------- */

static size_t
size_of(const Bytes *bytes)
{
    return bytes->end - bytes->start;
}

/* Make room for more bytes after the end. -1: exception. What is there is moved only when as much was taken before
 * it: moving a long paste again and again would cost more than sending it.
 */
static int
make_room(Bytes *bytes, size_t more)
{
    if (bytes->room - bytes->end >= more)
        return 0;
    if (bytes->start && bytes->start >= size_of(bytes)) {
        memmove(bytes->data, bytes->data + bytes->start, size_of(bytes));
        bytes->end -= bytes->start;
        bytes->start = 0;
    }
    if (bytes->room - bytes->end >= more)
        return 0;
    size_t room = bytes->end + more;
    unsigned char *grown = PyMem_Realloc(bytes->data, room);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    bytes->data = grown;
    bytes->room = room;
    return 0;
}

static int
put_off(Bytes *bytes, const unsigned char *data, size_t size)
{
    if (make_room(bytes, size) < 0)
        return -1;
    memcpy(bytes->data + bytes->end, data, size);
    bytes->end += size;
    return 0;
}

static void
forget(Bytes *bytes)
{
    bytes->start = bytes->end = 0;
}

/* -- events ------------------------------------------------------------------------------------------------------------ */

static int
tell(Pump *self, int kind, const void *data, size_t size)
{
    PyObject *event = Py_BuildValue("(iy#)", kind, data == NULL ? "" : (const char *)data, (Py_ssize_t)size);
    int result = event == NULL ? -1 : PyList_Append(self->events, event);
    Py_XDECREF(event);
    return result;
}

static PyObject *
next_event(Pump *self)
{
    PyObject *event = PyList_GetItem(self->events, 0);
    if (event == NULL)
        return NULL;
    Py_INCREF(event);
    if (PyList_SetSlice(self->events, 0, 1, NULL) < 0)
        Py_CLEAR(event);
    return event;
}

/* -- to the runner ----------------------------------------------------------------------------------------------------- */

/* As much as the runner takes now; the rest waits. */
static int
put(Pump *self, const unsigned char *data, size_t size)
{
    ssize_t done;
    do
        done = send(self->socket_fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    if (done < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        if (data[HEADER_BYTES - 1] == FRAME_INPUT) /* the end of a pipe, a size: nobody typed them */
            self->lost += size;
        return 0; /* receiving will tell that the link is gone */
    }
    size_t sent = done < 0 ? 0 : (size_t)done;
    return sent == size ? 0 : put_off(&self->unsent, data + sent, size - sent);
}

static int
send_bytes(Pump *self, const unsigned char *data, size_t size)
{
    if (self->socket_fd < 0)
        return 0;
    return size_of(&self->unsent) ? put_off(&self->unsent, data, size) : put(self, data, size);
}

static void
lose_unsent(Pump *self)
{
    self->lost += size_of(&self->unsent);
    forget(&self->unsent);
    self->is_full = 0;
}

/* What waited for a runner that listened went with it; what waits for the first that does, waits on. */
static void
unwelcome(Pump *self)
{
    if (self->listens)
        lose_unsent(self);
    self->listens = 0;
}

static int
send_unsent(Pump *self)
{
    ssize_t done;
    do
        done = send(self->socket_fd, self->unsent.data + self->unsent.start, size_of(&self->unsent), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    if (done < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        lose_unsent(self);
    if (done > 0)
        self->unsent.start += (size_t)done;
    if (size_of(&self->unsent))
        return 0;
    forget(&self->unsent);
    if (!self->is_full)
        return 0;
    self->is_full = 0;
    return tell(self, INPUT_TAKEN, NULL, 0);
}

/* data has room for a header before it */
static int
send_typed(Pump *self, unsigned char *data, size_t size)
{
    if (!self->sends_input)
        return 0;
    if (self->is_full) {
        self->lost += size;
        return 0;
    }
    put_header(data - HEADER_BYTES, (uint32_t)size, FRAME_INPUT);
    if (self->listens && size_of(&self->unsent) == 0)
        return put(self, data - HEADER_BYTES, size + HEADER_BYTES);
    if (size_of(&self->unsent) + size <= self->unsent_bytes_max)
        return put_off(&self->unsent, data - HEADER_BYTES, size + HEADER_BYTES);
    self->is_full = 1; /* from here on nothing, until all is taken: a hole in the middle would make another text of it */
    self->lost += size;
    return tell(self, INPUT_FULL, NULL, 0);
}

static int
key_event(const char *kind)
{
    return strcmp(kind, "detach") == 0 ? KEY_DETACH : strcmp(kind, "take") == 0 ? KEY_TAKE : KEY_HELP;
}

static int
send_action(Pump *self, PyObject *action)
{
    const char *kind;
    const unsigned char *typed;
    Py_ssize_t size;
    if (!PyTuple_Check(action)) {
        PyErr_SetString(PyExc_TypeError, "an action is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(action, "sy#", &kind, &typed, &size))
        return -1;
    if (strcmp(kind, "typed") != 0)
        return tell(self, key_event(kind), NULL, 0);
    unsigned char data[HEADER_BYTES + TYPE_BYTES + 2]; /* one more byte than was read: a key that was held back */
    if ((size_t)size > sizeof data - HEADER_BYTES) {
        PyErr_SetString(PyExc_ValueError, "more was typed than was read");
        return -1;
    }
    memcpy(data + HEADER_BYTES, typed, (size_t)size);
    return send_typed(self, data + HEADER_BYTES, (size_t)size);
}

/* keys.feed and what comes of it. */
static int
feed_keys(Pump *self, const unsigned char *data, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0), *actions = NULL, *is_plain = NULL;
    int result = -1;
    if (bytes != NULL && empty != NULL)
        actions = PyObject_CallMethodObjArgs(self->keys, self->names->feed, bytes, NULL);
    if (actions != NULL)
        is_plain = PyObject_CallMethodObjArgs(self->keys, self->names->is_plain, empty, NULL);
    if (is_plain != NULL) {
        self->keys_armed = !PyObject_IsTrue(is_plain); /* "is nothing at all plain?": only when no key is waited for */
        result = 0;
        for (Py_ssize_t at = 0; result == 0 && at < PyList_Size(actions); at++)
            result = send_action(self, PyList_GetItem(actions, at));
        if (PyErr_Occurred())
            result = -1;
    }
    Py_XDECREF(is_plain);
    Py_XDECREF(actions);
    Py_XDECREF(bytes);
    Py_XDECREF(empty);
    return result;
}

static int
typed(Pump *self)
{
    unsigned char data[HEADER_BYTES + TYPE_BYTES];
    ssize_t got;
    int error;
    do {
        Py_BEGIN_ALLOW_THREADS
            got = read(self->input_fd, data + HEADER_BYTES, TYPE_BYTES);
            error = errno;
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0)
            return -1;
    } while (got < 0 && error == EINTR);
    if (got <= 0) { /* EIO: the window was closed */
        self->input_fd = -1;
        return tell(self, INPUT_GONE, NULL, 0);
    }
    if (self->keys_armed || (self->key >= 0 && memchr(data + HEADER_BYTES, self->key, (size_t)got) != NULL))
        return feed_keys(self, data + HEADER_BYTES, (size_t)got);
    self->awaits_echo = got <= KEYSTROKE_BYTES;
    return send_typed(self, data + HEADER_BYTES, (size_t)got);
}

/* -- to the terminal --------------------------------------------------------------------------------------------------- */

static int
see_mode(Pump *self)
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)self->mode, (Py_ssize_t)self->mode_bytes);
    PyObject *result = bytes == NULL ? NULL : PyObject_CallMethodObjArgs(self->modes, self->names->see, bytes, NULL);
    Py_XDECREF(bytes);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* One byte of what may be a sequence that sets modes. */
static int
see_byte(Pump *self, unsigned char byte)
{
    static const unsigned char prefix[MODE_PREFIX_BYTES] = {0x1b, '[', '?'};
    size_t have = self->mode_bytes;
    int is_number = (byte >= '0' && byte <= '9') || byte == ';';
    int fits = have < MODE_PREFIX_BYTES ? byte == prefix[have] : is_number && have < MODE_PREFIX_BYTES + MODE_NUMBERS_MAX;
    if (fits) {
        self->mode[self->mode_bytes++] = byte;
        return 0;
    }
    int result = 0;
    if (have > MODE_PREFIX_BYTES && (byte == 'h' || byte == 'l')) {
        self->mode[self->mode_bytes++] = byte;
        result = see_mode(self);
    }
    self->mode_bytes = 0;
    if (byte == prefix[0])
        self->mode[self->mode_bytes++] = byte;
    return result;
}

static int
see(Pump *self, const unsigned char *data, size_t size)
{
    const unsigned char *end = data + size;
    while (data < end) {
        if (self->mode_bytes == 0) {
            data = memchr(data, 0x1b, (size_t)(end - data));
            if (data == NULL)
                return 0;
        }
        if (see_byte(self, *data++) < 0)
            return -1;
    }
    return 0;
}

/* Write all; it may block, and a signal handler may raise to get out. */
static int
show(Pump *self, const unsigned char *data, size_t size, int fd)
{
    if (self->modes != Py_None && see(self, data, size) < 0)
        return -1;
    do {
        ssize_t done;
        int error;
        Py_BEGIN_ALLOW_THREADS
            done = write(fd, data, size);
            error = errno;
        Py_END_ALLOW_THREADS
        if (done < 0 && error != EINTR) {
            char number[16];
            return tell(self, OUTPUT_GONE, number, (size_t)snprintf(number, sizeof number, "%d", error));
        }
        if (PyErr_CheckSignals() < 0)
            return -1;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        }
    } while (size > 0);
    return 0;
}

static int
is_shown(unsigned char kind, size_t size)
{
    return kind == FRAME_RESTORE || (kind == FRAME_OUTPUT && size >= OUTPUT_HEADER_BYTES);
}

static int
take_frame(Pump *self, unsigned char kind, const unsigned char *body, size_t size)
{
    if (!is_shown(kind, size))
        return tell(self, kind, body, size);
    if (kind == FRAME_OUTPUT) {
        int fd = body[8] == SOURCE_STDERR ? self->error_fd : self->output_fd;
        if (show(self, body + OUTPUT_HEADER_BYTES, size - OUTPUT_HEADER_BYTES, fd) < 0)
            return -1;
        self->offset = get_u64(body) + (size - OUTPUT_HEADER_BYTES);
        return 0;
    }
    return show(self, body, size, self->output_fd);
}

static int
gone(Pump *self, int event)
{
    self->socket_fd = -1;
    unwelcome(self);
    return tell(self, event, NULL, 0);
}

static int
take_frames(Pump *self)
{
    Bytes *bytes = &self->received;
    while (size_of(bytes) >= HEADER_BYTES) {
        const unsigned char *at = bytes->data + bytes->start;
        uint32_t size = get_u32(at);
        if (size > SERVER_BODY_BYTES_MAX)
            return gone(self, NONSENSE);
        if (size_of(bytes) < HEADER_BYTES + (size_t)size)
            break;
        bytes->start += HEADER_BYTES + (size_t)size;
        if (take_frame(self, at[4], at + HEADER_BYTES, size) < 0)
            return -1;
        if (!is_shown(at[4], size)) { /* what comes behind it waits: the owner may change what it means */
            self->has_more = 1;
            break;
        }
    }
    return 0;
}

static int
socket_ready(Pump *self, short mask)
{
    if (mask & POLLOUT && size_of(&self->unsent) && self->listens && send_unsent(self) < 0)
        return -1;
    if (!(mask & (POLLIN | POLLHUP | POLLERR | POLLNVAL)))
        return 0;
    if (make_room(&self->received, RECEIVE_BYTES) < 0)
        return -1;
    ssize_t got = recv(self->socket_fd, self->received.data + self->received.end, RECEIVE_BYTES, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    if (got <= 0)
        return gone(self, LINK_GONE);
    self->received.end += (size_t)got;
    return take_frames(self);
}

/* -- waiting ----------------------------------------------------------------------------------------------------------- */

static long long
now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long long
now_ms(void)
{
    return now_us() / 1000;
}

static int
woken(Pump *self)
{
    char numbers[WAKE_BYTES];
    ssize_t got = read(self->wake_fd, numbers, sizeof numbers);
    if (got < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return tell(self, WOKEN, numbers, (size_t)got);
}

/* What counts now, signals first. Without a detach key nothing is read while the runner does not take what was typed. */
static nfds_t
choose(Pump *self, struct pollfd *chosen)
{
    int waits = size_of(&self->unsent) > 0;
    nfds_t count = 0;
    chosen[count++] = (struct pollfd){.fd = self->wake_fd, .events = POLLIN};
    if (self->socket_fd >= 0)
        chosen[count++] = (struct pollfd){.fd = self->socket_fd, .events = waits && self->listens ? POLLIN | POLLOUT : POLLIN};
    if (self->input_fd >= 0 && (self->key >= 0 || (self->listens && !waits)))
        chosen[count++] = (struct pollfd){.fd = self->input_fd, .events = POLLIN};
    return count;
}

/* After a keystroke: look for its echo a little while before going to sleep. Being woken up takes longer than most echoes
 * do, and a person who types costs a thousandth of a processor this way. Others who want to run go first.
 */
static int
look_for_echo(Pump *self, struct pollfd *chosen, nfds_t count)
{
    long long until = now_us() + ECHO_US;
    self->awaits_echo = 0;
    int ready;
    while ((ready = poll(chosen, count, 0)) == 0 && now_us() < until)
        sched_yield();
    return ready;
}

/* One wait and what comes of it. timeout_ms: -1 for ever. */
static int
turn(Pump *self, int timeout_ms)
{
    struct pollfd chosen[3];
    nfds_t count = choose(self, chosen);
    long long until = now_ms() + timeout_ms;
    int ready = self->awaits_echo ? look_for_echo(self, chosen, count) : 0;
    while (ready <= 0) {
        int error;
        Py_BEGIN_ALLOW_THREADS
            ready = poll(chosen, count, timeout_ms);
            error = errno;
        Py_END_ALLOW_THREADS
        if (ready >= 0)
            break;
        if (error != EINTR) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0)
            return -1;
        if (timeout_ms >= 0)
            timeout_ms = until > now_ms() ? (int)(until - now_ms()) : 0;
    }
    if (ready == 0)
        return tell(self, TIMEOUT, NULL, 0);
    int result = 0;
    for (nfds_t at = 0; result == 0 && at < count; at++) {
        if (chosen[at].revents == 0)
            continue;
        if (chosen[at].fd == self->socket_fd)
            result = socket_ready(self, chosen[at].revents);
        else if (chosen[at].fd == self->input_fd)
            result = typed(self);
        else if (chosen[at].fd == self->wake_fd)
            result = woken(self);
    }
    return result;
}

/* -- methods ----------------------------------------------------------------------------------------------------------- */

/* What the user did outlasts a link; what the runner said does not. */
static int
forget_events(Pump *self)
{
    PyObject *kept = PyList_New(0);
    int result = kept == NULL ? -1 : 0;
    for (Py_ssize_t at = 0; result == 0 && at < PyList_Size(self->events); at++) {
        PyObject *event = PyList_GetItem(self->events, at);
        long kind = PyLong_AsLong(PyTuple_GetItem(event, 0));
        if ((kind <= INPUT_GONE && kind >= KEY_HELP) || (kind <= INPUT_FULL && kind >= KEY_TAKE))
            result = PyList_Append(kept, event);
    }
    if (result < 0)
        Py_XDECREF(kept);
    else
        core_replace(&self->events, kept);
    return result;
}

static PyObject *
pump_link(Pump *self, PyObject *sock)
{
    long long fd = -1;
    if (sock != Py_None) {
        PyObject *number = PyObject_CallMethodObjArgs(sock, self->names->fileno, NULL);
        if (number == NULL)
            return NULL;
        fd = PyLong_AsLongLong(number);
        Py_DECREF(number);
        if (fd == -1 && PyErr_Occurred())
            return NULL;
    }
    if (forget_events(self) < 0)
        return NULL;
    Py_INCREF(sock);
    core_replace(&self->sock, sock);
    self->has_more = 0;
    self->socket_fd = fd > INT_MAX ? -1 : (int)fd;
    forget(&self->received);
    unwelcome(self);
    Py_RETURN_NONE;
}

static PyObject *
pump_welcomed(Pump *self, PyObject *Py_UNUSED(unused))
{
    self->listens = self->socket_fd >= 0;
    Py_RETURN_NONE;
}

static PyObject *
pump_close_input(Pump *self, PyObject *Py_UNUSED(unused))
{
    self->input_fd = -1;
    Py_RETURN_NONE;
}

static PyObject *
pump_send(Pump *self, PyObject *object)
{
    Py_buffer data;
    if (PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0)
        return NULL;
    int result = send_bytes(self, data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    if (result < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
pump_run(Pump *self, PyObject *args)
{
    PyObject *timeout = Py_None;
    int timeout_ms = -1;
    if (!PyArg_ParseTuple(args, "|O:run", &timeout))
        return NULL;
    if (timeout != Py_None) {
        double seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred())
            return NULL;
        double ms = seconds * 1000;
        timeout_ms = ms > INT_MAX ? INT_MAX : ms > 0 ? (int)ms : 0;
    }
    if (self->runs) { /* a signal handler that calls run(): bytes are being shown right now */
        PyErr_SetString(PyExc_RuntimeError, "this pump runs already");
        return NULL;
    }
    self->runs = 1;
    int result = 0;
    while (result == 0 && PyList_Size(self->events) == 0) {
        int has_more = self->has_more;
        self->has_more = 0;
        result = has_more ? take_frames(self) : turn(self, timeout_ms);
    }
    self->runs = 0;
    return result < 0 ? NULL : next_event(self);
}

/* -- the type ---------------------------------------------------------------------------------------------------------- */

/* keys.key: an integer or None */
static int
learn_key(Pump *self)
{
    PyObject *key = PyObject_GetAttr(self->keys, self->names->key);
    if (key == NULL)
        return -1;
    long value = key == Py_None ? -1 : PyLong_AsLong(key);
    Py_DECREF(key);
    if (PyErr_Occurred())
        return -1;
    if (value < -1 || value > 255) {
        PyErr_SetString(PyExc_ValueError, "a detach key is one byte");
        return -1;
    }
    self->key = (int)value;
    return 0;
}

static PyObject *
pump_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"input_fd", "output_fd", "error_fd", "wake_fd", "keys", "modes", "sends_input",
                               "unsent_bytes_max", NULL};
    Py_ssize_t unsent_bytes_max = UNSENT_BYTES_MAX;
    int input_fd = -1, output_fd = -1, error_fd = -1, wake_fd = -1, sends_input = 1;
    PyObject *keys = NULL, *modes = NULL;
    State *state = core_state(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "|$iiiiOOpn:Pump", keywords, &input_fd, &output_fd, &error_fd,
                                                      &wake_fd, &keys, &modes, &sends_input, &unsent_bytes_max))
        return NULL;
    if (keys == NULL || modes == NULL) {
        PyErr_SetString(PyExc_TypeError, "Pump needs keys and modes");
        return NULL;
    }
    Pump *self = (Pump *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->names = &state->names;
    self->input_fd = input_fd;
    self->output_fd = output_fd;
    self->error_fd = error_fd;
    self->wake_fd = wake_fd;
    self->sends_input = (char)sends_input;
    self->unsent_bytes_max = unsent_bytes_max < 0 ? 0 : (size_t)unsent_bytes_max;
    self->socket_fd = -1;
    Py_INCREF(keys);
    self->keys = keys;
    Py_INCREF(modes);
    self->modes = modes;
    self->events = PyList_New(0);
    if (self->events == NULL || learn_key(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
pump_traverse(Pump *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->keys);
    Py_VISIT(self->modes);
    Py_VISIT(self->sock);
    Py_VISIT(self->events);
    return 0;
}

static void
pump_dealloc(Pump *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->keys);
    Py_CLEAR(self->modes);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->events);
    PyMem_Free(self->received.data);
    PyMem_Free(self->unsent.data);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* A cycle can only go through `sock`: the others are made without one. */
static int
pump_clear(Pump *self)
{
    Py_CLEAR(self->sock);
    return 0;
}

static PyObject *
pump_unsent(Pump *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSize_t(size_of(&self->unsent));
}

static PyGetSetDef pump_getset[] = {
    {"unsent", (getter)pump_unsent, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef pump_members[] = {
    {"input_fd", T_INT, offsetof(Pump, input_fd), READONLY, NULL},
    {"output_fd", T_INT, offsetof(Pump, output_fd), READONLY, NULL},
    {"error_fd", T_INT, offsetof(Pump, error_fd), READONLY, NULL},
    {"wake_fd", T_INT, offsetof(Pump, wake_fd), READONLY, NULL},
    {"keys", T_OBJECT, offsetof(Pump, keys), READONLY, NULL},
    {"modes", T_OBJECT, offsetof(Pump, modes), READONLY, NULL},
    {"sock", T_OBJECT, offsetof(Pump, sock), READONLY, NULL},
    {"sends_input", T_BOOL, offsetof(Pump, sends_input), 0, NULL},
    {"offset", T_ULONGLONG, offsetof(Pump, offset), 0, NULL},
    {"lost", T_ULONGLONG, offsetof(Pump, lost), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef pump_methods[] = {
    {"link", (PyCFunction)pump_link, METH_O, NULL},
    {"welcomed", (PyCFunction)pump_welcomed, METH_NOARGS, NULL},
    {"close_input", (PyCFunction)pump_close_input, METH_NOARGS, NULL},
    {"send", (PyCFunction)pump_send, METH_O, NULL},
    {"run", (PyCFunction)pump_run, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot pump_slots[] = {
    {Py_tp_doc, "The hot loop of an attachment; the twin of hawse.cli.attach.pump.Pump."},
    {Py_tp_new, pump_new},
    {Py_tp_traverse, pump_traverse},
    {Py_tp_clear, pump_clear},
    {Py_tp_dealloc, pump_dealloc},
    {Py_tp_members, pump_members},
    {Py_tp_getset, pump_getset},
    {Py_tp_methods, pump_methods},
    {0, NULL},
};

PyType_Spec pump_spec = {
    .name = "hawse._core.Pump",
    .basicsize = sizeof(Pump),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pump_slots,
};
