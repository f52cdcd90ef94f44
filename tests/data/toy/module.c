/* An extension module of the toy. It is linked and stripped, and never imported. */
#define JOINED(a, b) a##b
#define INIT(name) JOINED(PyInit_, name)

void *INIT(NAME)(void);

void *INIT(NAME)(void)
{
    return (void *)0;
}
