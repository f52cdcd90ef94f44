/* The interpreter of the toy: a real program for the ELF checks, which hands its arguments to the
   script beside the toy's standard library. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A function that the checks of hardening look for. Its arguments and an array are on the stack. */
int Py_BuildValue(const char *format, ...);

int Py_BuildValue(const char *format, ...)
{
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text[0];
}

int main(int argc, char **argv)
{
    char script[PATH_MAX];
    char **words = calloc((size_t)argc + 2, sizeof *words);
    ssize_t length = readlink("/proc/self/exe", script, sizeof script - 40);
    if (words == NULL || length < 0) {
        return 70;
    }
    script[length] = '\0';
    for (int component = 0; component < 2; component++) {
        char *slash = strrchr(script, '/');
        if (slash == NULL) {
            return 70;
        }
        *slash = '\0';
    }
    strcat(script, "/lib/python3.13/toy.sh");
    words[0] = "sh";
    words[1] = script;
    for (int word = 1; word < argc; word++) {
        words[word + 1] = argv[word];
    }
    execv("/bin/sh", words);
    perror(script);
    return 70;
}
