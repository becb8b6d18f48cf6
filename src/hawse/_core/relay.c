/* The twin of hawse.runner.relay.Relay: output of the job to the log and to those who are up to date, typed bytes to the job.
 *
 * The log stays a Python object; only the hot way of its `append` is repeated here (log.py, "hot path"). Whatever is not the
 * hot way, a full segment, a fault, a write that fails, is done by calling log.append itself.
 */
#include "core.h"

#include <sys/socket.h>

/* relay.py */
enum { READ_BYTES = 64 * 1024, BURST_BYTES = 64 * 1024, SMALL_BYTES = 1024 };
/* log.py */
enum { GRAIN_NS = 10000000, CALM_NS = 250000000, GRAIN_BYTES = 512 };

/* -- the log ----------------------------------------------------------------------------------------------------------- */

static Py_ssize_t
append_in_python(Relay *self, const unsigned char *data, Py_ssize_t size, int source)
{
    PyObject *taken = NULL, *bytes = PyBytes_FromStringAndSize((const char *)data, size);
    PyObject *number = PyLong_FromLong(source);
    if (bytes != NULL && number != NULL)
        taken = PyObject_CallMethodObjArgs((PyObject *)self->log, self->names->append, bytes, number, NULL);
    Py_XDECREF(bytes);
    Py_XDECREF(number);
    if (taken == NULL)
        return -1;
    Py_ssize_t count = PyLong_AsSsize_t(taken);
    Py_DECREF(taken);
    if (count < 0 || count > size) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "log.append took more than it was given");
        return -1;
    }
    return count;
}

/* Log._is_new_moment. -1: exception. */
static int
is_new_moment(PyObject *marks, long long end, long long now, int source)
{
    Py_ssize_t count = PyList_Size(marks);
    if (count <= 0)
        return count < 0 ? -1 : 1;
    PyObject *last = PyList_GetItem(marks, count - 1);
    if (last == NULL || !PyTuple_Check(last) || PyTuple_Size(last) != 3) {
        PyErr_SetString(PyExc_TypeError, "a mark is not (offset, time, source)");
        return -1;
    }
    long long at = PyLong_AsLongLong(PyTuple_GetItem(last, 0));
    long long then = PyLong_AsLongLong(PyTuple_GetItem(last, 1));
    long before = PyLong_AsLong(PyTuple_GetItem(last, 2));
    if (PyErr_Occurred())
        return -1;
    if (source != before || now - then >= CALM_NS)
        return 1;
    return now - then >= GRAIN_NS && end - at >= GRAIN_BYTES;
}

static int
note_moment(Tail *log, long long now, int source)
{
    int result = log->marks == NULL || !PyList_Check(log->marks) ? -1 : is_new_moment(log->marks, log->end, now, source);
    if (result > 0) {
        PyObject *mark = Py_BuildValue("(LLi)", log->end, now, source);
        result = mark == NULL ? -1 : PyList_Append(log->marks, mark);
        Py_XDECREF(mark);
    }
    if (result < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "Log._marks must be a list");
    return result;
}

/* Log.append: how many bytes were taken; -1: exception. */
static Py_ssize_t
append(Relay *self, const unsigned char *data, Py_ssize_t size, int source)
{
    Tail *log = self->log;
    if (log->fault || log->room < size)
        return append_in_python(self, data, size, source);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int fd = log->fd;
    ssize_t done;
    if (size <= SMALL_BYTES) { /* the page cache takes it; to let go of the interpreter costs more */
        done = write(fd, data, (size_t)size);
    } else {
        Py_BEGIN_ALLOW_THREADS /* a disk that is behind may make this wait */
            done = write(fd, data, (size_t)size);
        Py_END_ALLOW_THREADS
    }
    if (done < 0) /* log.append meets the same error and knows what follows from it */
        return append_in_python(self, data, size, source);
    if (note_moment(log, (long long)now.tv_sec * 1000000000 + now.tv_nsec, source) < 0)
        return -1;
    log->end += done;
    log->room -= done;
    log->printed_ns = coarse_ns();
    if (done == size)
        return size;
    Py_ssize_t rest = append_in_python(self, data + done, size - done, source);
    return rest < 0 ? -1 : done + rest;
}

/* -- output ------------------------------------------------------------------------------------------------------------ */

/* Only while the garbage collector takes a cycle apart is there none. */
static int
check_log(Relay *self)
{
    if (self->log != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this relay is being taken apart");
    return -1;
}

/* There is one empty bytes object; only another one must be asked. -1: exception. */
static int
is_kept(Relay *self)
{
    return self->kept == self->nothing || self->kept == NULL ? 0 : PyObject_IsTrue(self->kept);
}

static int
check_list(PyObject *object, const char *name)
{
    if (object != NULL && PyList_Check(object))
        return 0;
    PyErr_Format(PyExc_TypeError, "Relay.%s must be a list", name);
    return -1;
}

/* One frame to one attachment: bytes sent; -1: its link is gone. */
static Py_ssize_t
send_to(const Seat *seat, const unsigned char *frame, size_t size)
{
    ssize_t sent = send(seat->fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static int
has_fallen(Relay *self, PyObject *attachment, const unsigned char *frame, Py_ssize_t size, Py_ssize_t sent)
{
    if (check_list(self->fallen, "fallen") < 0)
        return -1;
    PyObject *one = Py_BuildValue("(Oy#n)", attachment, (const char *)frame, size, sent);
    int result = one == NULL ? -1 : PyList_Append(self->fallen, one);
    Py_XDECREF(one);
    return result;
}

/* Attachments are of one class, so that its ancestors are looked at once. */
static int
is_seat(Relay *self, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (type == self->seen_type)
        return 1;
    if (!PyObject_TypeCheck(object, self->seat_type))
        return 0;
    Py_INCREF((PyObject *)type);
    core_replace((PyObject **)&self->seen_type, (PyObject *)type);
    return 1;
}

/* `frame` starts with room for its header. */
static int
send_to_all(Relay *self, unsigned char *frame, Py_ssize_t data_bytes, int source, long long offset)
{
    Py_ssize_t size = data_bytes + OUTPUT_FRAME_HEADER_BYTES;
    put_header(frame, (uint32_t)(data_bytes + OUTPUT_HEADER_BYTES), FRAME_OUTPUT);
    put_u64(frame + HEADER_BYTES, (uint64_t)offset);
    frame[HEADER_BYTES + 8] = (unsigned char)source;
    for (Py_ssize_t at = 0; at < PyList_Size(self->live); at++) {
        PyObject *attachment = PyList_GetItem(self->live, at);
        if (attachment == NULL || !is_seat(self, attachment)) {
            PyErr_SetString(PyExc_TypeError, "Relay.live must hold attachments");
            return -1;
        }
        Seat *seat = (Seat *)attachment;
        Py_ssize_t sent = send_to(seat, frame, (size_t)size);
        if (sent == size)
            seat->cursor = offset + data_bytes;
        else if (has_fallen(self, attachment, frame, size, sent) < 0)
            return -1;
    }
    return 0;
}

/* Log, then send. 1: done; 0: the log did not take all, the rest is in `kept`; -1: exception. */
static int
forward(Relay *self, unsigned char *frame, Py_ssize_t size, int source)
{
    unsigned char *data = frame + OUTPUT_FRAME_HEADER_BYTES;
    if (check_log(self) < 0 || check_list(self->live, "live") < 0)
        return -1;
    long long offset = self->log->end;
    Py_ssize_t taken = append(self, data, size, source);
    if (taken < 0)
        return -1;
    if (taken != size) {
        PyObject *kept = PyBytes_FromStringAndSize((const char *)data + taken, size - taken);
        if (kept == NULL)
            return -1;
        core_replace(&self->kept, kept);
        self->kept_source = source;
    }
    if (taken > 0 && PyList_Size(self->live) > 0 && send_to_all(self, frame, taken, source, offset) < 0)
        return -1;
    int is_left = is_kept(self);
    return is_left < 0 ? -1 : !is_left;
}

/* What Python must deal with before more is read: 1 kept, 2 fallen, 0 nothing; -1: exception. */
static int
left_over(Relay *self)
{
    int kept = is_kept(self);
    if (kept)
        return kept;
    if (check_list(self->fallen, "fallen") < 0)
        return -1;
    return PyList_Size(self->fallen) > 0 ? 2 : 0;
}

int
relay_pump(Relay *self, int fd, int source)
{
    int left = left_over(self);
    if (left)
        return left < 0 ? -1 : left == 1 ? RELAY_REFUSED : RELAY_IDLE;
    return relay_burst(self, fd, source);
}

int
relay_burst(Relay *self, int fd, int source)
{
    unsigned char *data = self->buffer + OUTPUT_FRAME_HEADER_BYTES;
    Py_ssize_t size = 0;
    int status = RELAY_IDLE;
    while (size < BURST_BYTES) {
        ssize_t got = read(fd, data + size, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (got <= 0) { /* EIO: nobody has the terminal's other side open any more */
            status = RELAY_ENDED;
            break;
        }
        size += got;
        if (got < SMALL_BYTES)
            break;
    }
    if (size > 0) {
        int done = forward(self, self->buffer, size, source);
        if (done <= 0)
            return done < 0 ? -1 : RELAY_REFUSED;
    }
    return status;
}

int
relay_is_calm(Relay *self)
{
    if (check_log(self) < 0)
        return -1;
    if (self->log->fault)
        return 0;
    if (self->behind != NULL && self->behind != Py_None) {
        Py_ssize_t behind = PyObject_Size(self->behind);
        if (behind)
            return behind < 0 ? -1 : 0;
    }
    int left = left_over(self);
    return left < 0 ? -1 : !left;
}

int
relay_leaves_rest(Relay *self)
{
    int left = left_over(self);
    if (left < 0)
        PyErr_Clear(); /* the next burst raises it again, where it is told */
    return left > 0;
}

int
relay_is_due(Relay *self)
{
    return self->log == NULL || self->log->end >= self->calm_until;
}

/* -- methods ----------------------------------------------------------------------------------------------------------- */

static PyObject *
relay_pump_method(Relay *self, PyObject *args)
{
    int fd, source;
    if (!PyArg_ParseTuple(args, "ii:pump", &fd, &source))
        return NULL;
    int status = relay_pump(self, fd, source);
    return status < 0 ? NULL : PyLong_FromLong(status);
}

static PyObject *
relay_forward(Relay *self, PyObject *args)
{
    Py_buffer data;
    int source;
    if (!PyArg_ParseTuple(args, "y*i:forward", &data, &source))
        return NULL;
    int done = -1;
    unsigned char *frame = NULL;
    if (data.len > UINT32_MAX - OUTPUT_HEADER_BYTES)
        PyErr_SetString(PyExc_ValueError, "more than a frame holds");
    else if ((frame = PyMem_Malloc((size_t)data.len + OUTPUT_FRAME_HEADER_BYTES)) == NULL)
        PyErr_NoMemory();
    else {
        if (data.len)
            memcpy(frame + OUTPUT_FRAME_HEADER_BYTES, data.buf, (size_t)data.len);
        done = forward(self, frame, data.len, source);
    }
    PyMem_Free(frame);
    PyBuffer_Release(&data);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

/* Keep what the job did not read yet. */
static int
keep_typed(Relay *self, const char *data, Py_ssize_t size)
{
    Py_ssize_t have = PyByteArray_Size(self->typed);
    if (PyByteArray_Resize(self->typed, have + size) < 0)
        return -1;
    memcpy(PyByteArray_AsString(self->typed) + have, data, (size_t)size);
    return 0;
}

static PyObject *
relay_type(Relay *self, PyObject *object)
{
    Py_buffer data;
    if (PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0)
        return NULL;
    ssize_t done = 0;
    int gone = 0;
    if (PyByteArray_Size(self->typed) == 0) {
        do
            done = write(self->input_fd, data.buf, (size_t)data.len);
        while (done < 0 && errno == EINTR);
        gone = done < 0 && errno != EAGAIN && errno != EWOULDBLOCK; /* what is typed goes nowhere, as in any terminal */
        if (done < 0)
            done = 0;
    }
    int result = gone || done == data.len ? 0 : keep_typed(self, (const char *)data.buf + done, data.len - done);
    PyBuffer_Release(&data);
    return result < 0 ? NULL : PyBool_FromLong(gone || PyByteArray_Size(self->typed) < self->input_bytes_max);
}

static PyObject *
relay_type_on(Relay *self, PyObject *Py_UNUSED(unused))
{
    Py_ssize_t size = PyByteArray_Size(self->typed);
    char *data = PyByteArray_AsString(self->typed);
    ssize_t done;
    do
        done = write(self->input_fd, data, (size_t)size);
    while (done < 0 && errno == EINTR);
    if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        Py_RETURN_FALSE;
    if (done < 0)
        done = size;
    memmove(data, data + done, (size_t)(size - done));
    if (PyByteArray_Resize(self->typed, size - done) < 0)
        return NULL;
    return PyBool_FromLong(size == done);
}

/* -- the type ---------------------------------------------------------------------------------------------------------- */

/* All is made here and not in __init__: there is no half-made object that a method could meet. */
static PyObject *
relay_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"log", "input_fd", "input_bytes_max", NULL};
    PyObject *log;
    int input_fd;
    Py_ssize_t input_bytes_max;
    State *state = core_state(type);
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O!$in:Relay", keywords, state->tail_type, &log, &input_fd,
                                                      &input_bytes_max))
        return NULL;
    Relay *self = (Relay *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(log);
    self->log = (Tail *)log;
    Py_INCREF((PyObject *)state->seat_type);
    self->seat_type = state->seat_type;
    self->names = &state->names;
    self->input_fd = input_fd;
    self->input_bytes_max = input_bytes_max;
    self->kept_source = 1;
    self->live = PyList_New(0);
    self->fallen = PyList_New(0);
    self->kept = PyBytes_FromStringAndSize(NULL, 0);
    self->nothing = PyBytes_FromStringAndSize(NULL, 0);
    self->typed = PyByteArray_FromStringAndSize(NULL, 0);
    self->buffer = PyMem_Malloc(OUTPUT_FRAME_HEADER_BYTES + BURST_BYTES + READ_BYTES);
    if (self->buffer == NULL)
        PyErr_NoMemory();
    if (self->live == NULL || self->fallen == NULL || self->kept == NULL || self->nothing == NULL ||
        self->typed == NULL || self->buffer == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
relay_traverse(Relay *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->seat_type);
    Py_VISIT(self->seen_type);
    Py_VISIT(self->log);
    Py_VISIT(self->live);
    Py_VISIT(self->fallen);
    Py_VISIT(self->behind);
    Py_VISIT(self->typist);
    return 0;
}

static int
relay_clear(Relay *self)
{
    Py_CLEAR(self->log);
    Py_CLEAR(self->live);
    Py_CLEAR(self->fallen);
    Py_CLEAR(self->behind);
    Py_CLEAR(self->typist);
    return 0;
}

static void
relay_dealloc(Relay *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    relay_clear(self);
    Py_CLEAR(self->kept);
    Py_CLEAR(self->typed);
    Py_CLEAR(self->nothing);
    Py_CLEAR(self->seat_type);
    Py_CLEAR(self->seen_type);
    PyMem_Free(self->buffer);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMemberDef relay_members[] = {
    {"log", T_OBJECT_EX, offsetof(Relay, log), READONLY, NULL},
    {"live", T_OBJECT_EX, offsetof(Relay, live), 0, NULL},
    {"fallen", T_OBJECT_EX, offsetof(Relay, fallen), 0, NULL},
    {"kept", T_OBJECT_EX, offsetof(Relay, kept), 0, NULL},
    {"kept_source", T_INT, offsetof(Relay, kept_source), 0, NULL},
    {"typed", T_OBJECT_EX, offsetof(Relay, typed), READONLY, NULL},
    {"typist", T_OBJECT, offsetof(Relay, typist), 0, NULL},
    {"behind", T_OBJECT, offsetof(Relay, behind), 0, NULL},
    {"calm_until", T_LONGLONG, offsetof(Relay, calm_until), 0, NULL},
    {"input_fd", T_INT, offsetof(Relay, input_fd), 0, NULL},
    {"input_bytes_max", T_PYSSIZET, offsetof(Relay, input_bytes_max), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef relay_methods[] = {
    {"pump", (PyCFunction)relay_pump_method, METH_VARARGS, NULL},
    {"forward", (PyCFunction)relay_forward, METH_VARARGS, NULL},
    {"type", (PyCFunction)relay_type, METH_O, NULL},
    {"type_on", (PyCFunction)relay_type_on, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot relay_slots[] = {
    {Py_tp_doc, "Moves bytes; the twin of hawse.runner.relay.Relay."},
    {Py_tp_new, relay_new},
    {Py_tp_traverse, relay_traverse},
    {Py_tp_clear, relay_clear},
    {Py_tp_dealloc, relay_dealloc},
    {Py_tp_members, relay_members},
    {Py_tp_methods, relay_methods},
    {0, NULL},
};

PyType_Spec relay_spec = {
    .name = "hawse._core.Relay",
    .basicsize = sizeof(Relay),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = relay_slots,
};
