/* Shared by all clients of the benchmark: clock, latency samples, the known content of the files, the result line. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A prime period: blocks at different aligned offsets of a file differ, so a wrong offset shows. */
#define PATTERN_PERIOD 1048583u
#define PATTERN_SPAN (1u << 20)
/* Bytes compared at each end of a timed reply; the untimed first pass compares all of them. */
#define EDGE_BYTES 32u

static unsigned char pattern_bytes[PATTERN_PERIOD + PATTERN_SPAN];

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

static inline void pattern_init(void)
{
    uint64_t state = 0x9e3779b97f4a7c15ull;
    for (uint32_t i = 0; i < PATTERN_PERIOD; i++)
        pattern_bytes[i] = (unsigned char)(next_random(&state) >> 24);
    memcpy(pattern_bytes + PATTERN_PERIOD, pattern_bytes, PATTERN_SPAN);
}

/* The content of file `index` at `offset`, valid for PATTERN_SPAN bytes. */
static inline const unsigned char *pattern_at(uint64_t index, uint64_t offset)
{
    return pattern_bytes + (offset + index * 7919u) % PATTERN_PERIOD;
}

/* The number in the last component of a path ("file-012.bin" is 12). */
static inline uint64_t file_index(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    while (*name && (*name < '0' || *name > '9'))
        name++;
    return strtoull(name, NULL, 10);
}

static inline void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static inline void check_content(uint64_t index, uint64_t offset, const void *data, size_t length, int all)
{
    const unsigned char *want = pattern_at(index, offset);
    size_t edge = all || length < EDGE_BYTES ? length : EDGE_BYTES;
    if (memcmp(data, want, edge) || memcmp((const char *)data + length - edge, want + length - edge, edge))
        fail("wrong content: file %llu, offset %llu", (unsigned long long)index, (unsigned long long)offset);
}

static inline double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

struct samples {
    double *us;
    size_t count, room;
};

static inline void add_sample(struct samples *s, double us)
{
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 1 << 16;
        s->us = realloc(s->us, s->room * sizeof *s->us);
        if (!s->us)
            fail("out of memory");
    }
    s->us[s->count++] = us;
}

static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples. */
static inline double percentile(struct samples *s, double p)
{
    if (!s->count)
        return 0;
    qsort(s->us, s->count, sizeof *s->us, by_value);
    return s->us[(size_t)(p * (s->count - 1))];
}

static inline void print_result(uint64_t bytes, uint64_t ops, double us, struct samples *s)
{
    printf("{\"bytes\":%llu,\"ops\":%llu,\"seconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f}\n", (unsigned long long)bytes,
           (unsigned long long)ops, us / 1e6, percentile(s, 0.5), percentile(s, 0.99));
}

/* Options common to the clients, given as name=value after the positional arguments. */
struct options {
    uint64_t size;   /* bytes in each read */
    uint64_t flight; /* requests in flight */
    uint64_t seed;
    uint64_t expect; /* entries a listing must have */
    double seconds;  /* at least this long */
    int warm;        /* read the whole file once before the clock starts */
    int once;        /* one pass over the listing, however short */
    int links;       /* a link count of zero is an error */
    uint64_t count;  /* files whose ends are read */
};

static inline struct options parse_options(int argc, char **argv, int first)
{
    struct options o = {.size = 1 << 20, .flight = 1, .seed = 20240229, .seconds = 2, .warm = 1, .count = 1000};
    for (int i = first; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            fail("%s: name=value expected", argv[i]);
        size_t n = value++ - argv[i];
        uint64_t number = strtoull(value, NULL, 10);
        if (!strncmp(argv[i], "size", n))
            o.size = number;
        else if (!strncmp(argv[i], "flight", n))
            o.flight = number;
        else if (!strncmp(argv[i], "seed", n))
            o.seed = number;
        else if (!strncmp(argv[i], "expect", n))
            o.expect = number;
        else if (!strncmp(argv[i], "seconds", n))
            o.seconds = strtod(value, NULL);
        else if (!strncmp(argv[i], "warm", n))
            o.warm = number != 0;
        else if (!strncmp(argv[i], "links", n))
            o.links = number != 0;
        else if (!strncmp(argv[i], "count", n))
            o.count = number;
        else if (!strncmp(argv[i], "once", n))
            o.once = number != 0;
        else
            fail("%s: unknown option", argv[i]);
    }
    if (!o.size || o.size > PATTERN_SPAN)
        fail("size: 1 to %u bytes", PATTERN_SPAN);
    if (!o.flight || o.flight > 256)
        fail("flight: 1 to 256");
    return o;
}

/* The film of a release, below the folder that holds them all. */
static inline void film_name(char *name, size_t room, uint64_t index)
{
    snprintf(name, room, "Release.%05u.2024.1080p.WEB-DL.x264-GROUP/movie.%05u.mkv", (unsigned)index, (unsigned)index);
}

/* Bytes that a scanner reads at the beginning and at the end of a film. */
#define END_BYTES 65536u

/*
 * Scans a library. With `once`: reads the beginnings of a number of films, then their ends, twice, and measures the second pass.
 * Else reads film by film until the time is over. `read_end` reads one end and verifies it.
 */
static inline void scan_library(const struct options *o, void (*read_end)(uint64_t index, int tail))
{
    struct samples samples = {0};
    double start = now_us();
    if (!o->once) {
        for (uint64_t i = 0; now_us() - start < o->seconds * 1e6; i++) {
            double sent = now_us();
            read_end(i / 2 % o->count, i % 2);
            add_sample(&samples, now_us() - sent);
        }
    } else
        for (int pass = 0; pass < 2; pass++) {
            start = now_us();
            samples.count = 0;
            for (int tail = 0; tail < 2; tail++)
                for (uint64_t i = 0; i < o->count; i++) {
                    double sent = now_us();
                    read_end(i, tail);
                    add_sample(&samples, now_us() - sent);
                }
        }
    double us = now_us() - start;
    print_result((uint64_t)samples.count * END_BYTES, samples.count, us, &samples);
}

/* The offset of the next read: in sequence, or at random on a multiple of the size. */
static inline uint64_t next_offset(const struct options *o, int random, uint64_t *state, uint64_t blocks)
{
    return (random ? next_random(state) % blocks : (*state)++ % blocks) * o->size;
}

#endif
