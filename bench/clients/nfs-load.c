/*
 * NFSv3 load over libnfs's raw calls: several requests in flight on one connection.
 *   nfs-load HOST NFSPORT MOUNTPORT EXPORT seq|random|list|walk|ends PATH [name=value ...]
 * Prints one JSON line {bytes, ops, seconds, p50, p99}; latencies in microseconds.
 */
#include <errno.h>
#include <poll.h>
#include <sys/time.h>
#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>

#include "measure.h"

#define HANDLE_MAX 64
/* The sizes that the Linux client requests on a mount with default options. */
#define DIRECTORY_BYTES 65536
#define ATTRIBUTE_FLIGHT 32

struct handle {
    unsigned length;
    char bytes[HANDLE_MAX];
};

static struct rpc_context *rpc;
static int pending;

static nfs_fh3 as_fh(struct handle *h)
{
    nfs_fh3 fh = {.data = {h->length, h->bytes}};
    return fh;
}

static void keep_handle(struct handle *to, unsigned length, const char *bytes)
{
    if (length > HANDLE_MAX)
        fail("a file handle of %u bytes", length);
    to->length = length;
    memcpy(to->bytes, bytes, length);
}

static void require_reply(int status, const char *call, void *data)
{
    if (status != RPC_STATUS_SUCCESS)
        fail("%s: %s", call, status == RPC_STATUS_ERROR && data ? (char *)data : "cancelled");
}

static void require_ok(nfsstat3 status, const char *call)
{
    if (status != NFS3_OK)
        fail("%s: %s", call, nfsstat3_to_str(status));
}

/* Serves the socket until `*counter` is below `below`. */
static void run_until(int *counter, int below)
{
    while (*counter >= below) {
        struct pollfd p = {.fd = rpc_get_fd(rpc), .events = rpc_which_events(rpc)};
        if (poll(&p, 1, 60000) <= 0)
            fail("no reply for 60 s");
        if (rpc_service(rpc, p.revents) < 0)
            fail("connection: %s", rpc_get_error(rpc));
    }
}

static void on_connect(struct rpc_context *context, int status, void *data, void *private_data)
{
    (void)context, (void)private_data;
    require_reply(status, "connect", data);
    pending--;
}

static void connect_to(const char *host, int port, int program)
{
    rpc = rpc_init_context();
    pending = 1;
    if (!rpc || rpc_connect_port_async(rpc, host, port, program, 3, on_connect, NULL))
        fail("connect to port %d", port);
    run_until(&pending, 1);
}

static void on_mount(struct rpc_context *context, int status, void *data, void *private_data)
{
    mountres3 *result = data;
    (void)context;
    require_reply(status, "MNT", data);
    if (result->fhs_status != MNT3_OK)
        fail("MNT: status %d", result->fhs_status);
    fhandle3 *fh = &result->mountres3_u.mountinfo.fhandle;
    keep_handle(private_data, fh->fhandle3_len, fh->fhandle3_val);
    pending--;
}

struct object {
    struct handle handle;
    int directory;
    uint64_t size;
};

static void on_lookup(struct rpc_context *context, int status, void *data, void *private_data)
{
    LOOKUP3res *result = data;
    struct object *found = private_data;
    (void)context;
    require_reply(status, "LOOKUP", data);
    require_ok(result->status, "LOOKUP");
    LOOKUP3resok *ok = &result->LOOKUP3res_u.resok;
    keep_handle(&found->handle, ok->object.data.data_len, ok->object.data.data_val);
    pending--;
}

static void on_getattr(struct rpc_context *context, int status, void *data, void *private_data)
{
    GETATTR3res *result = data;
    struct object *of = private_data;
    (void)context;
    require_reply(status, "GETATTR", data);
    require_ok(result->status, "GETATTR");
    if (of) {
        of->directory = result->GETATTR3res_u.resok.obj_attributes.type == NF3DIR;
        of->size = result->GETATTR3res_u.resok.obj_attributes.size;
    }
    pending--;
}

static void send_lookup(struct handle *directory, char *name, struct object *into)
{
    LOOKUP3args args = {.what = {.dir = as_fh(directory), .name = name}};
    pending++;
    if (rpc_nfs3_lookup_async(rpc, on_lookup, &args, into))
        fail("LOOKUP: %s", rpc_get_error(rpc));
}

static void send_getattr(struct handle *of, struct object *into)
{
    GETATTR3args args = {.object = as_fh(of)};
    pending++;
    if (rpc_nfs3_getattr_async(rpc, on_getattr, &args, into))
        fail("GETATTR: %s", rpc_get_error(rpc));
}

static struct object walk(struct handle *root, const char *path)
{
    struct object at = {.handle = *root};
    char *copy = strdup(path), *rest = copy, *name;
    while ((name = strsep(&rest, "/"))) {
        struct handle parent = at.handle;
        if (!*name)
            continue;
        send_lookup(&parent, name, &at);
        run_until(&pending, 1);
    }
    free(copy);
    send_getattr(&at.handle, &at);
    run_until(&pending, 1);
    return at;
}

/* ---- reads ---- */

struct read_run {
    struct options options;
    struct object file;
    uint64_t index, blocks, state, left, bytes;
    int random, check_all, flying;
    double until;
    struct samples samples;
};

struct read_slot {
    struct read_run *run;
    uint64_t offset;
    double sent;
};

static void send_read(struct read_slot *slot);

static void on_read(struct rpc_context *context, int status, void *data, void *private_data)
{
    READ3res *result = data;
    struct read_slot *slot = private_data;
    struct read_run *run = slot->run;
    double now = now_us();
    (void)context;
    require_reply(status, "READ", data);
    require_ok(result->status, "READ");
    READ3resok *ok = &result->READ3res_u.resok;
    if (ok->data.data_len != run->options.size || ok->count != ok->data.data_len)
        fail("READ at %llu: %u bytes", (unsigned long long)slot->offset, ok->data.data_len);
    check_content(run->index, slot->offset, ok->data.data_val, ok->data.data_len, run->check_all);
    add_sample(&run->samples, now - slot->sent);
    run->bytes += ok->data.data_len;
    run->flying--;
    if (run->left && now < run->until)
        send_read(slot);
}

static void send_read(struct read_slot *slot)
{
    struct read_run *run = slot->run;
    slot->offset = next_offset(&run->options, run->random, &run->state, run->blocks);
    slot->sent = now_us();
    READ3args args = {.file = as_fh(&run->file.handle), .offset = slot->offset, .count = run->options.size};
    run->left--;
    run->flying++;
    if (rpc_nfs3_read_async(rpc, on_read, &args, slot))
        fail("READ: %s", rpc_get_error(rpc));
}

static double fly(struct read_run *run, uint64_t flight)
{
    struct read_slot slots[256];
    double start = now_us();
    for (uint64_t i = 0; i < flight && run->left; i++) {
        slots[i].run = run;
        send_read(&slots[i]);
    }
    run_until(&run->flying, 1);
    return now_us() - start;
}

static void measure_reads(struct object file, const char *path, int random, struct options o)
{
    struct read_run run = {.file = file, .index = file_index(path), .until = 1e300, .check_all = 1};
    if (file.size < o.size)
        fail("%s: only %llu bytes", path, (unsigned long long)file.size);
    if (o.warm) {
        run.options = (struct options){.size = 1 << 20};
        run.blocks = run.left = file.size / run.options.size;
        fly(&run, 4);
    }
    run.options = o;
    run.random = random;
    run.check_all = 0;
    run.blocks = file.size / o.size;
    run.left = random || o.warm ? UINT64_MAX : run.blocks;
    run.state = random ? o.seed : 0;
    run.bytes = run.samples.count = 0;
    run.until = now_us() + o.seconds * 1e6;
    double us = fly(&run, o.flight);
    print_result(run.bytes, run.samples.count, us, &run.samples);
}

/* ---- ends ---- */

static struct handle library;

static void on_end(struct rpc_context *context, int status, void *data, void *private_data)
{
    READ3res *result = data;
    struct read_slot *slot = private_data;
    (void)context;
    require_reply(status, "READ", data);
    require_ok(result->status, "READ");
    READ3resok *ok = &result->READ3res_u.resok;
    if (ok->data.data_len != END_BYTES)
        fail("READ at %llu: %u bytes", (unsigned long long)slot->offset, ok->data.data_len);
    check_content(slot->run->index, slot->offset, ok->data.data_val, ok->data.data_len, 1);
    pending--;
}

static void read_end(uint64_t index, int tail)
{
    char name[128];
    film_name(name, sizeof name, index);
    struct object film = walk(&library, name);
    struct read_run run = {.index = index};
    struct read_slot slot = {.run = &run, .offset = tail ? film.size - END_BYTES : 0};
    READ3args args = {.file = as_fh(&film.handle), .offset = slot.offset, .count = END_BYTES};
    pending++;
    if (rpc_nfs3_read_async(rpc, on_end, &args, &slot))
        fail("READ: %s", rpc_get_error(rpc));
    run_until(&pending, 1);
}

/* ---- listings ---- */

struct list_run {
    struct object directory;
    uint64_t entries, without_attributes, cookie;
    cookieverf3 verifier;
    int eof, flying, links;
    /* Entries of the last page whose attributes must be fetched. */
    struct object *missing;
    char **names;
    size_t missing_count, missing_room;
};

static void note_missing(struct list_run *run, entryplus3 *entry)
{
    if (run->missing_count == run->missing_room) {
        run->missing_room = run->missing_room ? run->missing_room * 2 : 1024;
        run->missing = realloc(run->missing, run->missing_room * sizeof *run->missing);
        run->names = realloc(run->names, run->missing_room * sizeof *run->names);
    }
    struct object *object = &run->missing[run->missing_count];
    object->handle.length = 0;
    if (entry->name_handle.handle_follows)
        keep_handle(&object->handle, entry->name_handle.post_op_fh3_u.handle.data.data_len,
                    entry->name_handle.post_op_fh3_u.handle.data.data_val);
    run->names[run->missing_count++] = strdup(entry->name);
    run->without_attributes++;
}

static void on_page(struct rpc_context *context, int status, void *data, void *private_data)
{
    READDIRPLUS3res *result = data;
    struct list_run *run = private_data;
    (void)context;
    require_reply(status, "READDIRPLUS", data);
    require_ok(result->status, "READDIRPLUS");
    READDIRPLUS3resok *ok = &result->READDIRPLUS3res_u.resok;
    memcpy(run->verifier, ok->cookieverf, sizeof run->verifier);
    for (entryplus3 *entry = ok->reply.entries; entry; entry = entry->nextentry) {
        run->cookie = entry->cookie;
        if (!strcmp(entry->name, ".") || !strcmp(entry->name, ".."))
            continue;
        run->entries++;
        if (!entry->name_attributes.attributes_follow)
            note_missing(run, entry);
        else if (run->links && !entry->name_attributes.post_op_attr_u.attributes.nlink)
            fail("READDIRPLUS: %s has no links", entry->name);
    }
    if (!ok->reply.entries && !ok->reply.eof)
        fail("READDIRPLUS: a page without entries");
    run->eof = ok->reply.eof;
    run->flying--;
}

static void fetch_missing(struct list_run *run)
{
    for (size_t i = 0; i < run->missing_count; i++)
        if (!run->missing[i].handle.length) {
            send_lookup(&run->directory.handle, run->names[i], &run->missing[i]);
            run_until(&pending, ATTRIBUTE_FLIGHT);
        }
    run_until(&pending, 1);
    for (size_t i = 0; i < run->missing_count; i++) {
        send_getattr(&run->missing[i].handle, NULL);
        run_until(&pending, ATTRIBUTE_FLIGHT);
        free(run->names[i]);
    }
    run_until(&pending, 1);
    run->missing_count = 0;
}

static void list_once(struct list_run *run, uint64_t expect, struct samples *samples)
{
    run->entries = run->cookie = 0;
    run->eof = 0;
    memset(run->verifier, 0, sizeof run->verifier);
    while (!run->eof) {
        READDIRPLUS3args args = {.dir = as_fh(&run->directory.handle), .cookie = run->cookie,
                                 .dircount = DIRECTORY_BYTES, .maxcount = DIRECTORY_BYTES};
        memcpy(args.cookieverf, run->verifier, sizeof args.cookieverf);
        double sent = now_us();
        run->flying++;
        if (rpc_nfs3_readdirplus_async(rpc, on_page, &args, run))
            fail("READDIRPLUS: %s", rpc_get_error(rpc));
        run_until(&run->flying, 1);
        fetch_missing(run);
        add_sample(samples, now_us() - sent);
    }
    if (expect && run->entries != expect)
        fail("%llu entries instead of %llu", (unsigned long long)run->entries, (unsigned long long)expect);
}

/* Operations are entries, each with its attributes; a latency is that of one page. */
static void measure_listing(struct object directory, struct options o)
{
    struct list_run run = {.directory = directory, .links = o.links};
    struct samples samples = {0};
    uint64_t entries = 0;
    if (!o.once)
        list_once(&run, o.expect, &samples);
    samples.count = 0;
    double start = now_us();
    do {
        list_once(&run, o.expect, &samples);
        entries += run.entries;
    } while (!o.once && now_us() - start < o.seconds * 1e6);
    print_result(0, entries, now_us() - start, &samples);
}

/* ---- a walk of all folders, as `find` or a scanner makes the kernel's client do it ---- */

static void on_access(struct rpc_context *context, int status, void *data, void *private_data)
{
    ACCESS3res *result = data;
    (void)context, (void)private_data;
    require_reply(status, "ACCESS", data);
    require_ok(result->status, "ACCESS");
    pending--;
}

static void send_access(struct handle *of)
{
    ACCESS3args args = {.object = as_fh(of), .access = ACCESS3_READ | ACCESS3_LOOKUP | ACCESS3_EXECUTE};
    pending++;
    if (rpc_nfs3_access_async(rpc, on_access, &args, NULL))
        fail("ACCESS: %s", rpc_get_error(rpc));
}

struct names {
    char **all;
    size_t count, room;
};

struct name_run {
    struct names *names;
    uint64_t cookie;
    cookieverf3 verifier;
    int eof;
};

static void on_names(struct rpc_context *context, int status, void *data, void *private_data)
{
    READDIR3res *result = data;
    struct name_run *run = private_data;
    struct names *names = run->names;
    (void)context;
    require_reply(status, "READDIR", data);
    require_ok(result->status, "READDIR");
    READDIR3resok *ok = &result->READDIR3res_u.resok;
    memcpy(run->verifier, ok->cookieverf, sizeof run->verifier);
    for (entry3 *entry = ok->reply.entries; entry; entry = entry->nextentry) {
        run->cookie = entry->cookie;
        if (!strcmp(entry->name, ".") || !strcmp(entry->name, ".."))
            continue;
        if (names->count == names->room) {
            names->room = names->room ? names->room * 2 : 4096;
            names->all = realloc(names->all, names->room * sizeof *names->all);
        }
        names->all[names->count++] = strdup(entry->name);
    }
    run->eof = ok->reply.eof;
    pending--;
}

static struct names names_of(struct handle *directory)
{
    struct names names = {0};
    struct name_run run = {.names = &names};
    while (!run.eof) {
        READDIR3args args = {.dir = as_fh(directory), .cookie = run.cookie, .count = DIRECTORY_BYTES};
        memcpy(args.cookieverf, run.verifier, sizeof args.cookieverf);
        pending++;
        if (rpc_nfs3_readdir_async(rpc, on_names, &args, &run))
            fail("READDIR: %s", rpc_get_error(rpc));
        run_until(&pending, 1);
    }
    return names;
}

/* Operations are objects; a latency is that of one folder: LOOKUP, ACCESS, GETATTR and its whole listing. */
static void measure_walk(struct object directory, struct options o)
{
    struct samples samples = {0}, pages = {0};
    double start = now_us();
    struct names names = names_of(&directory.handle);
    uint64_t objects = names.count;
    for (size_t i = 0; i < names.count; i++) {
        struct list_run run = {.links = o.links};
        double sent = now_us();
        send_lookup(&directory.handle, names.all[i], &run.directory);
        run_until(&pending, 1);
        send_access(&run.directory.handle);
        run_until(&pending, 1);
        send_getattr(&run.directory.handle, &run.directory);
        run_until(&pending, 1);
        list_once(&run, 0, &pages);
        objects += run.entries;
        add_sample(&samples, now_us() - sent);
    }
    if (o.expect && objects != o.expect)
        fail("%llu objects instead of %llu", (unsigned long long)objects, (unsigned long long)o.expect);
    print_result(0, objects, now_us() - start, &samples);
}

int main(int argc, char **argv)
{
    struct handle root;
    if (argc < 7)
        fail("usage: nfs-load HOST NFSPORT MOUNTPORT EXPORT seq|random|list|walk|ends PATH [name=value ...]");
    struct options o = parse_options(argc, argv, 7);
    pattern_init();
    connect_to(argv[1], atoi(argv[3]), MOUNT_PROGRAM);
    pending = 1;
    if (rpc_mount3_mnt_async(rpc, on_mount, argv[4], &root))
        fail("MNT: %s", rpc_get_error(rpc));
    run_until(&pending, 1);
    rpc_destroy_context(rpc);
    connect_to(argv[1], atoi(argv[2]), NFS_PROGRAM);
    struct object target = walk(&root, argv[6]);
    if (!strcmp(argv[5], "list"))
        measure_listing(target, o);
    else if (!strcmp(argv[5], "walk"))
        measure_walk(target, o);
    else if (!strcmp(argv[5], "ends")) {
        library = target.handle;
        scan_library(&o, read_end);
    } else
        measure_reads(target, argv[6], !strcmp(argv[5], "random"), o);
    rpc_destroy_context(rpc);
    return 0;
}
