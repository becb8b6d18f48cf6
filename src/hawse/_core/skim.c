/* The twin of a search in hawse.runner.screen: where a sequence starts that may be of interest to the tracker.
 *
 * Most sequences of a program that prints much are colours and small moves. Rejecting them here costs a fifth of what a
 * regular expression does, and the tracker shares its core with the bytes' way to the client.
 */
#include "core.h"

/* Is this the rest of ESC [ numbers, then one of m K A B C D? Source: screen.py, _COMMON. */
static int
is_common(const unsigned char *at, const unsigned char *end)
{
    if (at == end || *at++ != '[')
        return 0;
    while (at < end && ((*at >= '0' && *at <= '9') || *at == ';' || *at == ':'))
        at++;
    return at < end && (*at == 'm' || *at == 'K' || (*at >= 'A' && *at <= 'D'));
}

PyObject *
core_sequences(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    Py_ssize_t stop;
    if (!PyArg_ParseTuple(args, "y*n:sequences", &data, &stop))
        return NULL;
    const unsigned char *start = data.buf, *at = start;
    const unsigned char *end = start + (stop < 0 ? 0 : stop > data.len ? data.len : stop);
    PyObject *found = PyList_New(0);
    while (found != NULL && at < end && (at = memchr(at, 0x1b, (size_t)(end - at))) != NULL) {
        if (!is_common(++at, end)) {
            PyObject *offset = PyLong_FromSsize_t(at - 1 - start);
            if (offset == NULL || PyList_Append(found, offset) < 0)
                Py_CLEAR(found);
            Py_XDECREF(offset);
        }
    }
    PyBuffer_Release(&data);
    return found;
}
