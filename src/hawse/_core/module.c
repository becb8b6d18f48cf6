/* The module hawse._core: its types, its names, the constants that its tests compare with Python's. */
#include "core.h"

State *
core_state(PyTypeObject *type)
{
    PyObject *module = PyType_GetModule(type);
    return module == NULL ? NULL : PyModule_GetState(module);
}

void
core_replace(PyObject **slot, PyObject *value)
{
    PyObject *before = *slot;
    *slot = value;
    Py_XDECREF(before);
}

static int
intern_names(Names *names)
{
    const struct {
        PyObject **slot;
        const char *text;
    } all[] = {
        {&names->append, "append"}, {&names->feed, "feed"},         {&names->fileno, "fileno"}, {&names->is_plain, "is_plain"},
        {&names->key, "key"},       {&names->received, "received"}, {&names->see, "see"},
    };
    for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
        *all[at].slot = PyUnicode_InternFromString(all[at].text);
        if (*all[at].slot == NULL)
            return -1;
    }
    return 0;
}

static int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **slot)
{
    *slot = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *slot == NULL ? -1 : PyModule_AddType(module, *slot);
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (state == NULL || intern_names(&state->names) < 0)
        return -1;
    if (add_type(module, &tail_spec, &state->tail_type) < 0 || add_type(module, &seat_spec, &state->seat_type) < 0 ||
        add_type(module, &relay_spec, &state->relay_type) < 0 ||
        add_type(module, &poller_spec, &state->poller_type) < 0 || add_type(module, &pump_spec, &state->pump_type) < 0)
        return -1;
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state != NULL) {
        Py_VISIT(state->tail_type);
        Py_VISIT(state->seat_type);
        Py_VISIT(state->relay_type);
        Py_VISIT(state->poller_type);
        Py_VISIT(state->pump_type);
    }
    return 0;
}

/* The names are kept until the module is freed: its types' objects may still use them while the types are cleared. */
static int
module_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (state != NULL) {
        Py_CLEAR(state->tail_type);
        Py_CLEAR(state->seat_type);
        Py_CLEAR(state->relay_type);
        Py_CLEAR(state->poller_type);
        Py_CLEAR(state->pump_type);
    }
    return 0;
}

static void
module_free(void *module)
{
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return;
    module_clear(module);
    PyObject **names = (PyObject **)&state->names;
    for (size_t at = 0; at < sizeof(Names) / sizeof(PyObject *); at++)
        Py_CLEAR(names[at]);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static PyMethodDef module_methods[] = {{"sequences", core_sequences, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "hawse._core",
    .m_doc = "The compiled hot paths: twins of Python classes.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module_def);
}
