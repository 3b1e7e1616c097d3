/*
 * Measures this machine's limit: the same work without a file protocol.
 *   limit read FILE seq|random [name=value ...]   a loopback TCP server that does pread and send, and its client
 *   limit list DIRECTORY [name=value ...]         readdir and a stat of each entry
 *   limit walk DIRECTORY [name=value ...]         the same, and of each folder in it
 * Prints one JSON line {bytes, ops, seconds, p50, p99}; latencies in microseconds.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/measure.h"

#define WINDOW 256

struct request {
    uint64_t offset;
    uint32_t length, slot;
};

static void send_all(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n <= 0)
            exit(1);
        data += n;
        length -= n;
    }
}

/* A reply is the request's header, followed by the data. */
static void serve(int listener, const char *path)
{
    static struct request queue[WINDOW];
    char *reply = malloc(sizeof(struct request) + PATTERN_SPAN);
    size_t have = 0;
    int one = 1, file = open(path, O_RDONLY), fd = accept(listener, NULL, NULL);
    if (file < 0 || fd < 0 || !reply)
        fail("%s: %s", path, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (;;) {
        ssize_t n = recv(fd, (char *)queue + have, sizeof queue - have, 0);
        if (n <= 0)
            exit(0);
        have += n;
        size_t whole = have / sizeof *queue;
        for (size_t i = 0; i < whole; i++) {
            memcpy(reply, &queue[i], sizeof *queue);
            if (pread(file, reply + sizeof *queue, queue[i].length, queue[i].offset) != (ssize_t)queue[i].length)
                fail("%s: short read", path);
            send_all(fd, reply, sizeof *queue + queue[i].length);
        }
        have -= whole * sizeof *queue;
        memmove(queue, queue + whole, have);
    }
}

struct flight {
    int fd;
    char *buffer;
    size_t have, room;
    double sent[WINDOW];
};

static void ask(struct flight *f, uint64_t offset, uint32_t length, uint32_t slot)
{
    struct request r = {offset, length, slot};
    f->sent[slot] = now_us();
    send_all(f->fd, (const char *)&r, sizeof r);
}

/* Makes `count` reads, or as many as possible before `until`, with `o->flight` requests in flight. */
static uint64_t exchange(struct flight *f, const struct options *o, int random, uint64_t state, uint64_t blocks,
                         uint64_t count, double until, uint64_t index, int check_all, struct samples *samples)
{
    uint64_t flying = 0, bytes = 0, left = count;
    for (; flying < o->flight && left; left--)
        ask(f, next_offset(o, random, &state, blocks), o->size, flying++);
    while (flying) {
        ssize_t n = recv(f->fd, f->buffer + f->have, f->room - f->have, 0);
        if (n <= 0)
            fail("the server went away");
        f->have += n;
        size_t at = 0, step = sizeof(struct request) + o->size;
        for (; f->have - at >= step; at += step) {
            struct request r;
            double now = now_us();
            memcpy(&r, f->buffer + at, sizeof r);
            check_content(index, r.offset, f->buffer + at + sizeof r, r.length, check_all);
            add_sample(samples, now - f->sent[r.slot]);
            bytes += r.length;
            flying--;
            if (left && now < until) {
                left--;
                flying++;
                ask(f, next_offset(o, random, &state, blocks), o->size, r.slot);
            }
        }
        f->have -= at;
        memmove(f->buffer, f->buffer + at, f->have);
    }
    return bytes;
}

static void measure_reads(const char *path, int random, struct options o)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct stat st;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (stat(path, &st) || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        fail("%s: %s", path, strerror(errno));
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(listener, path);
    }
    struct flight f = {.fd = socket(AF_INET, SOCK_STREAM, 0), .room = 4 * (PATTERN_SPAN + sizeof(struct request))};
    f.buffer = malloc(f.room);
    if (connect(f.fd, (struct sockaddr *)&address, length))
        fail("connect: %s", strerror(errno));
    setsockopt(f.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct samples samples = {0};
    struct options warm = {.size = PATTERN_SPAN, .flight = 4};
    uint64_t index = file_index(path), blocks = st.st_size / PATTERN_SPAN;
    if (o.warm)
        exchange(&f, &warm, 0, 0, blocks, blocks, 1e300, index, 1, &samples);
    samples.count = 0;
    double start = now_us();
    uint64_t bytes = exchange(&f, &o, random, random ? o.seed : 0, st.st_size / o.size, UINT64_MAX,
                              start + o.seconds * 1e6, index, 0, &samples);
    print_result(bytes, samples.count, now_us() - start, &samples);
}

static uint64_t list_once(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    struct stat st;
    uint64_t entries = 0;
    if (!directory)
        fail("%s: %s", path, strerror(errno));
    while ((entry = readdir(directory))) {
        if (fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
            fail("%s: %s", entry->d_name, strerror(errno));
        entries += entry->d_name[0] != '.';
    }
    closedir(directory);
    return entries;
}

static void measure_walk(const char *path, struct options o)
{
    struct samples samples = {0};
    DIR *directory = opendir(path);
    struct dirent *entry;
    char at[4096];
    double start = now_us(), now = start;
    uint64_t objects = list_once(path);
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        double sent = now;
        snprintf(at, sizeof at, "%s/%s", path, entry->d_name);
        objects += list_once(at);
        now = now_us();
        add_sample(&samples, now - sent);
    }
    if (o.expect && objects != o.expect)
        fail("%llu objects instead of %llu", (unsigned long long)objects, (unsigned long long)o.expect);
    print_result(0, objects, now - start, &samples);
}

static void measure_listing(const char *path, struct options o)
{
    struct samples samples = {0};
    uint64_t entries = 0;
    double start = now_us(), now = start;
    do {
        double sent = now;
        uint64_t found = list_once(path);
        if (o.expect && found != o.expect)
            fail("%llu entries instead of %llu", (unsigned long long)found, (unsigned long long)o.expect);
        entries += found;
        now = now_us();
        add_sample(&samples, now - sent);
    } while (!o.once && now - start < o.seconds * 1e6);
    print_result(0, entries, now - start, &samples);
}

int main(int argc, char **argv)
{
    if (argc >= 4 && !strcmp(argv[1], "read")) {
        pattern_init();
        measure_reads(argv[2], !strcmp(argv[3], "random"), parse_options(argc, argv, 4));
    } else if (argc >= 3 && !strcmp(argv[1], "list")) {
        measure_listing(argv[2], parse_options(argc, argv, 3));
    } else if (argc >= 3 && !strcmp(argv[1], "walk")) {
        measure_walk(argv[2], parse_options(argc, argv, 3));
    } else {
        fail("usage: limit read FILE seq|random | limit list|walk DIRECTORY [name=value ...]");
    }
    return 0;
}
