/* What the examples share: giving up when a call does not succeed, and a clock. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <boc/boc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Ends the program unless the call went well: in these programs nothing else can be done. */
static inline void must(boc_status status) {
    if (status != BOC_OK) {
        fprintf(stderr, "%s: %s\n", boc_status_name(status), boc_last_error());
        exit(1);
    }
}

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
