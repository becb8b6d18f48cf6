/* The twin of select.epoll, as far as hawse.runner.loop uses it, with shortcuts.
 *
 * A shortcut says what is to be done when a descriptor is readable and nothing rare is going on: relay a burst of output, or
 * type what a client sent. poll() does that itself and returns to Python only for the rest. It never decides anything: when
 * a condition does not hold, the event goes to the handler, as if there were no shortcut.
 */
#include "core.h"

#include <math.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS_MAX = 64, READ_BYTES = 64 * 1024, DESCRIPTORS_MAX = 1 << 20 };
enum { NONE, OUTPUT, INPUT };

typedef struct {
    int kind, source;
    Relay *relay;
    PyObject *attachment, *connection, *unfinished; /* INPUT; unfinished: the frame reader's bytearray */
} Shortcut;

typedef struct {
    PyObject_HEAD
    Names *names;
    PyTypeObject *relay_type, *seat_type;
    int fd, shortcuts_count;
    int called_python; /* in this turn: timers may have changed */
    Shortcut *shortcuts; /* by descriptor */
    unsigned char *buffer;
    PyObject *failed;
} Poller;

/* -- shortcuts --------------------------------------------------------------------------------------------------------- */

static void
drop(Shortcut *one)
{
    one->kind = NONE;
    Py_CLEAR(one->relay);
    Py_CLEAR(one->attachment);
    Py_CLEAR(one->connection);
    Py_CLEAR(one->unfinished);
}

/* The slot of a descriptor; NULL: exception. */
static Shortcut *
slot_for(Poller *self, int fd)
{
    if (fd < 0 || fd >= DESCRIPTORS_MAX) {
        PyErr_SetString(PyExc_ValueError, "no such descriptor");
        return NULL;
    }
    if (fd >= self->shortcuts_count) {
        int count = fd + 16;
        Shortcut *grown = PyMem_Realloc(self->shortcuts, (size_t)count * sizeof *grown);
        if (grown == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        memset(grown + self->shortcuts_count, 0, (size_t)(count - self->shortcuts_count) * sizeof *grown);
        self->shortcuts = grown;
        self->shortcuts_count = count;
    }
    drop(&self->shortcuts[fd]);
    return fd < self->shortcuts_count ? &self->shortcuts[fd] : NULL;
}

static PyObject *
poller_shortcut_output(Poller *self, PyObject *args)
{
    int fd, source;
    PyObject *relay;
    if (!PyArg_ParseTuple(args, "iO!i:shortcut_output", &fd, self->relay_type, &relay, &source))
        return NULL;
    Shortcut *one = slot_for(self, fd);
    if (one == NULL)
        return NULL;
    Py_INCREF(relay);
    *one = (Shortcut){.kind = OUTPUT, .source = source, .relay = (Relay *)relay};
    Py_RETURN_NONE;
}

static PyObject *
poller_shortcut_input(Poller *self, PyObject *args)
{
    int fd;
    PyObject *relay, *attachment, *connection, *unfinished;
    if (!PyArg_ParseTuple(args, "iO!O!OO!:shortcut_input", &fd, self->relay_type, &relay, self->seat_type, &attachment,
                          &connection, &PyByteArray_Type, &unfinished))
        return NULL;
    Shortcut *one = slot_for(self, fd);
    if (one == NULL)
        return NULL;
    Py_INCREF(relay);
    Py_INCREF(attachment);
    Py_INCREF(connection);
    Py_INCREF(unfinished);
    *one = (Shortcut){INPUT, 0, (Relay *)relay, attachment, connection, unfinished};
    Py_RETURN_NONE;
}

/* 1: done; 0: the handler must look at it; -1: exception. */
static int
serve_output(Shortcut *one, int fd)
{
    Relay *relay = one->relay;
    int calm = relay_is_calm(relay);
    if (calm <= 0)
        return calm;
    int status = relay_burst(relay, fd, one->source);
    if (status != RELAY_IDLE)
        return status < 0 ? -1 : 0;
    calm = relay_is_calm(relay);
    return calm <= 0 ? calm : !relay_is_due(relay); /* asked afterwards: who watches should not wait for that */
}

/* The typist is the attachment that has control: nobody else's bytes are typed here, and nothing may be half typed or half
 * received. */
static int
may_type(Shortcut *one)
{
    Relay *relay = one->relay;
    return relay->typist == one->attachment && PyByteArray_Size(relay->typed) == 0 && PyByteArray_Size(one->unfinished) == 0;
}

/* What came and is not simply typed: connection.received(bytes). */
static int
hand_over(Poller *self, PyObject *connection, const unsigned char *data, Py_ssize_t size)
{
    self->called_python = 1;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)data, size);
    if (bytes == NULL)
        return -1;
    PyObject *result = PyObject_CallMethodObjArgs(connection, self->names->received, bytes, NULL);
    Py_DECREF(bytes);
    Py_XDECREF(result);
    return result == NULL ? -1 : 1;
}

static int
serve_input(Poller *self, Shortcut *one, int fd)
{
    if (!may_type(one))
        return 0;
    unsigned char *data = self->buffer;
    ssize_t got = recv(fd, data, READ_BYTES, MSG_DONTWAIT);
    if (got <= 0) /* the handler meets the same; an end stays an end */
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (got <= HEADER_BYTES || data[4] != FRAME_INPUT || get_u32(data) != (uint32_t)(got - HEADER_BYTES))
        return hand_over(self, one->connection, data, got);
    ((Seat *)one->attachment)->typed_ns = coarse_ns();
    ssize_t size = got - HEADER_BYTES;
    ssize_t done = write(one->relay->input_fd, data + HEADER_BYTES, (size_t)size);
    if (done < 0) /* other errors: what is typed goes nowhere, as in any terminal */
        done = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : size;
    if (done == size)
        return 1;
    put_header(data + done, (uint32_t)(size - done), FRAME_INPUT); /* over what is typed already: a frame of the rest */
    return hand_over(self, one->connection, data + done, HEADER_BYTES + size - done);
}

/* A shortcut may end up in Python, which may change or move this one: it is held and copied meanwhile. */
static int
serve(Poller *self, int fd)
{
    if (fd >= self->shortcuts_count || self->shortcuts[fd].kind == NONE)
        return 0;
    Shortcut one = self->shortcuts[fd];
    Py_INCREF((PyObject *)one.relay);
    Py_XINCREF(one.attachment);
    Py_XINCREF(one.connection);
    Py_XINCREF(one.unfinished);
    int done = one.kind == OUTPUT ? serve_output(&one, fd) : serve_input(self, &one, fd);
    Py_DECREF(one.relay);
    Py_XDECREF(one.attachment);
    Py_XDECREF(one.connection);
    Py_XDECREF(one.unfinished);
    return done;
}

/* failed(descriptor, exception), as the loop does for its handlers. -1: that raised too. */
static int
tell_failure(Poller *self, int fd)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    self->called_python = 1;
    PyObject *result = PyObject_CallFunction(self->failed, "iO", fd, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* -- waiting ----------------------------------------------------------------------------------------------------------- */

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Milliseconds for epoll_wait, rounded up as select.epoll does: a timer is never early. */
static int
rest_ms(double timeout_s, double until_s)
{
    if (timeout_s < 0)
        return -1;
    double rest = ceil((until_s - now_s()) * 1000.0);
    return rest <= 0 ? 0 : rest >= INT_MAX ? INT_MAX : (int)rest;
}

/* Did a burst leave something that Python must deal with before anybody says anything else? */
static int
leaves_rest(Poller *self, int fd)
{
    Shortcut *one = fd < self->shortcuts_count ? &self->shortcuts[fd] : NULL;
    return one != NULL && one->kind == OUTPUT && relay_leaves_rest(one->relay);
}

/* An event for Python. */
static int
list_event(PyObject *list, Py_ssize_t at, int fd, uint32_t mask)
{
    PyObject *pair = Py_BuildValue("(iI)", fd, (unsigned int)mask);
    int result = pair == NULL ? -1 : PyList_Insert(list, at, pair);
    Py_XDECREF(pair);
    return result;
}

/* Serve what can be, list the rest. -1: exception.
 *
 * When a client could take a part of a frame only, the rest of it must be the next that it is sent: that event comes first in
 * the list, and what was not looked at is left for the next turn (epoll is asked level-triggered).
 */
static int
sort_out(Poller *self, const struct epoll_event *events, int count, PyObject *list)
{
    for (int at = 0; at < count; at++) {
        int fd = events[at].data.fd;
        int done = events[at].events == EPOLLIN ? serve(self, fd) : 0;
        if (done < 0 && tell_failure(self, fd) < 0)
            return -1;
        int is_urgent = leaves_rest(self, fd);
        if (done && !is_urgent)
            continue;
        if (list_event(list, is_urgent ? 0 : PyList_Size(list), fd, events[at].events) < 0)
            return -1;
        if (is_urgent)
            break;
    }
    return 0;
}

static PyObject *
poller_poll(Poller *self, PyObject *args)
{
    double timeout_s = -1;
    int count_max = EVENTS_MAX;
    if (!PyArg_ParseTuple(args, "|di:poll", &timeout_s, &count_max))
        return NULL;
    if (count_max < 1 || count_max > EVENTS_MAX)
        count_max = EVENTS_MAX;
    struct epoll_event events[EVENTS_MAX];
    double until_s = timeout_s < 0 ? 0 : now_s() + timeout_s;
    int wait_ms = rest_ms(timeout_s, until_s);
    PyObject *list = PyList_New(0);
    self->called_python = 0;
    while (list != NULL) {
        int count;
        Py_BEGIN_ALLOW_THREADS
            count = epoll_wait(self->fd, events, count_max, wait_ms);
        Py_END_ALLOW_THREADS
        if (count < 0 && errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            Py_CLEAR(list);
        } else if ((count < 0 && PyErr_CheckSignals() < 0) || (count > 0 && sort_out(self, events, count, list) < 0)) {
            Py_CLEAR(list);
        } else {
            wait_ms = rest_ms(timeout_s, until_s);
            if (count == 0 || wait_ms == 0 || self->called_python || PyList_Size(list) > 0)
                break;
        }
    }
    return list;
}

/* -- select.epoll's own methods ---------------------------------------------------------------------------------------- */

static PyObject *
control(Poller *self, PyObject *args, int operation)
{
    int fd;
    unsigned int mask = 0;
    if (!PyArg_ParseTuple(args, operation == EPOLL_CTL_DEL ? "i" : "iI", &fd, &mask))
        return NULL;
    if (operation == EPOLL_CTL_DEL && fd >= 0 && fd < self->shortcuts_count)
        drop(&self->shortcuts[fd]);
    struct epoll_event event = {.events = mask, .data.fd = fd};
    int result = epoll_ctl(self->fd, operation, fd, &event);
    if (result < 0 && !(operation == EPOLL_CTL_DEL && errno == EBADF)) /* select.epoll: closed means unregistered */
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *
poller_register(Poller *self, PyObject *args)
{
    return control(self, args, EPOLL_CTL_ADD);
}

static PyObject *
poller_modify(Poller *self, PyObject *args)
{
    return control(self, args, EPOLL_CTL_MOD);
}

static PyObject *
poller_unregister(Poller *self, PyObject *args)
{
    return control(self, args, EPOLL_CTL_DEL);
}

static PyObject *
poller_close(Poller *self, PyObject *Py_UNUSED(unused))
{
    if (self->fd >= 0)
        close(self->fd);
    self->fd = -1;
    Py_RETURN_NONE;
}

/* -- the type ---------------------------------------------------------------------------------------------------------- */

static PyObject *
poller_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"failed", NULL};
    PyObject *failed;
    State *state = core_state(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "$O:Poller", keywords, &failed))
        return NULL;
    Poller *self = (Poller *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->names = &state->names;
    self->relay_type = state->relay_type;
    Py_INCREF((PyObject *)self->relay_type);
    self->seat_type = state->seat_type;
    Py_INCREF((PyObject *)self->seat_type);
    Py_INCREF(failed);
    self->failed = failed;
    self->fd = -1; /* before anything can fail: 0 is somebody's stdin */
    self->buffer = PyMem_Malloc(READ_BYTES);
    if (self->buffer == NULL)
        PyErr_NoMemory();
    else if ((self->fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    else
        return (PyObject *)self;
    Py_DECREF(self);
    return NULL;
}

static int
poller_traverse(Poller *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->relay_type);
    Py_VISIT(self->seat_type);
    Py_VISIT(self->failed);
    for (int at = 0; at < self->shortcuts_count; at++) {
        Py_VISIT(self->shortcuts[at].relay);
        Py_VISIT(self->shortcuts[at].attachment);
        Py_VISIT(self->shortcuts[at].connection);
    }
    return 0;
}

static int
poller_clear(Poller *self)
{
    Py_CLEAR(self->failed);
    for (int at = 0; at < self->shortcuts_count; at++)
        drop(&self->shortcuts[at]);
    return 0;
}

static void
poller_dealloc(Poller *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    poller_clear(self);
    Py_CLEAR(self->relay_type);
    Py_CLEAR(self->seat_type);
    if (self->fd >= 0)
        close(self->fd);
    PyMem_Free(self->shortcuts);
    PyMem_Free(self->buffer);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef poller_methods[] = {
    {"register", (PyCFunction)poller_register, METH_VARARGS, NULL},
    {"modify", (PyCFunction)poller_modify, METH_VARARGS, NULL},
    {"unregister", (PyCFunction)poller_unregister, METH_VARARGS, NULL},
    {"poll", (PyCFunction)poller_poll, METH_VARARGS, NULL},
    {"close", (PyCFunction)poller_close, METH_NOARGS, NULL},
    {"shortcut_output", (PyCFunction)poller_shortcut_output, METH_VARARGS, NULL},
    {"shortcut_input", (PyCFunction)poller_shortcut_input, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot poller_slots[] = {
    {Py_tp_doc, "select.epoll with shortcuts for bytes that are simply moved."},
    {Py_tp_new, poller_new},
    {Py_tp_traverse, poller_traverse},
    {Py_tp_clear, poller_clear},
    {Py_tp_dealloc, poller_dealloc},
    {Py_tp_methods, poller_methods},
    {0, NULL},
};

PyType_Spec poller_spec = {
    .name = "hawse._core.Poller",
    .basicsize = sizeof(Poller),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = poller_slots,
};
