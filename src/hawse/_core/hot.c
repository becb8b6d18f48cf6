/* Tail and Seat: the few fields of a log and of an attachment that every keystroke needs.
 *
 * hawse.runner.log.Log and hawse.runner.attachment.Attachment inherit them. To Python they are attributes like any other;
 * the relay reads them without a look-up, which matters because after an idle moment every look-up is a cache miss.
 */
#include "core.h"

static PyObject *
tail_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Tail *self = (Tail *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->fd = -1;
    self->marks = PyList_New(0);
    if (self->marks == NULL) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
tail_dealloc(Tail *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_CLEAR(self->marks);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMemberDef tail_members[] = {
    {"end", T_LONGLONG, offsetof(Tail, end), 0, NULL},
    {"printed_ns", T_LONGLONG, offsetof(Tail, printed_ns), 0, NULL},
    {"_room", T_LONGLONG, offsetof(Tail, room), 0, NULL},
    {"fd", T_INT, offsetof(Tail, fd), 0, NULL},
    {"fault", T_INT, offsetof(Tail, fault), 0, NULL},
    {"_marks", T_OBJECT_EX, offsetof(Tail, marks), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tail_slots[] = {
    {Py_tp_doc, "What every keystroke needs of a log."},
    {Py_tp_new, tail_new},
    {Py_tp_dealloc, tail_dealloc},
    {Py_tp_members, tail_members},
    {0, NULL},
};

PyType_Spec tail_spec = {
    .name = "hawse._core.Tail",
    .basicsize = sizeof(Tail),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = tail_slots,
};

static PyObject *
seat_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Seat *self = (Seat *)PyType_GenericAlloc(type, 0);
    if (self != NULL)
        self->fd = -1;
    return (PyObject *)self;
}

static PyMemberDef seat_members[] = {
    {"cursor", T_LONGLONG, offsetof(Seat, cursor), 0, NULL},
    {"typed_ns", T_LONGLONG, offsetof(Seat, typed_ns), 0, NULL},
    {"fd", T_INT, offsetof(Seat, fd), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot seat_slots[] = {
    {Py_tp_doc, "What every keystroke needs of an attachment."},
    {Py_tp_new, seat_new},
    {Py_tp_members, seat_members},
    {0, NULL},
};

PyType_Spec seat_spec = {
    .name = "hawse._core.Seat",
    .basicsize = sizeof(Seat),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = seat_slots,
};
