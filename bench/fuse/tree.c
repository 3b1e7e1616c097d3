/*
 * A fast FUSE tree with known content, similar to Decypharr's:
 *   /__all__/Release.00000.2024 ... folders with one .mkv each, or movies=N in each ten of them
 *   /files/file-000.bin         ... the files for the read rows
 * Node ids are computed, so lookups and handles need no table.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../clients/measure.h"

enum { ROOT = 1, ALL = 2, FILES = 3, FILE_BASE = 0x1000, RELEASE_BASE = 0x1000000, MOVIE_BASE = 0x2000000 };
#define EPOCH 1700000000

static uint64_t files = 64, file_size = 1ull << 30, releases = 10000, nlink_value, latency_ms, max_read = 131072;
static uint64_t keep_cache, plus = 1, threads = 64, movies = 10, clock_folders;
static double entry_timeout = 1, attr_timeout = 30;

static int is_release(fuse_ino_t ino) { return ino >= RELEASE_BASE && ino < RELEASE_BASE + releases; }
/* Movies of one release: `movies` in each ten, at most MOVIES_MAX in one. */
#define MOVIES_MAX 16
static uint64_t movies_of(uint64_t release) { return (release + 1) * movies / 10 - release * movies / 10; }
static int is_movie(fuse_ino_t ino)
{
    return ino >= MOVIE_BASE && ino < MOVIE_BASE + releases * MOVIES_MAX &&
           (ino - MOVIE_BASE) % MOVIES_MAX < movies_of((ino - MOVIE_BASE) / MOVIES_MAX);
}
static int is_file(fuse_ino_t ino) { return ino >= FILE_BASE && ino < FILE_BASE + files; }

static uint64_t content_index(fuse_ino_t ino)
{
    return is_file(ino) ? ino - FILE_BASE : (ino - MOVIE_BASE) / MOVIES_MAX;
}

static int fill_stat(fuse_ino_t ino, struct stat *st)
{
    int directory = ino == ROOT || ino == ALL || ino == FILES || is_release(ino);
    if (!directory && !is_file(ino) && !is_movie(ino))
        return ENOENT;
    memset(st, 0, sizeof *st);
    st->st_ino = ino;
    st->st_mode = directory ? S_IFDIR | 0755 : S_IFREG | 0644;
    st->st_nlink = nlink_value;
    st->st_size = directory ? 4096 : (off_t)file_size;
    st->st_blocks = (st->st_size + 511) / 512;
    st->st_blksize = 4096;
    st->st_mtime = st->st_ctime = st->st_atime = EPOCH + (ino & 0xfffff);
    /* 1: as Decypharr, the root's own folders always say "now"; 2: all folders do. */
    if (directory && clock_folders > (uint64_t)is_release(ino))
        st->st_mtime = st->st_ctime = st->st_atime = time(NULL);
    return 0;
}

/* Child number `i` of a directory: its node and name. 0 past the end. */
static fuse_ino_t child(fuse_ino_t parent, uint64_t i, char *name, size_t room)
{
    if (parent == ROOT && i < 2) {
        snprintf(name, room, "%s", i ? "files" : "__all__");
        return i ? FILES : ALL;
    }
    if (parent == ALL && i < releases) {
        snprintf(name, room, "Release.%05u.2024.1080p.WEB-DL.x264-GROUP", (unsigned)i);
        return RELEASE_BASE + i;
    }
    if (parent == FILES && i < files) {
        snprintf(name, room, "file-%03u.bin", (unsigned)i);
        return FILE_BASE + i;
    }
    if (is_release(parent) && i < movies_of(parent - RELEASE_BASE)) {
        unsigned release = parent - RELEASE_BASE;
        if (i)
            snprintf(name, room, "movie.%05u.part-%02u.mkv", release, (unsigned)i);
        else
            snprintf(name, room, "movie.%05u.mkv", release);
        return MOVIE_BASE + (uint64_t)release * MOVIES_MAX + i;
    }
    return 0;
}

static fuse_ino_t parent_of(fuse_ino_t ino)
{
    return is_release(ino) ? ALL : is_movie(ino) ? RELEASE_BASE + (ino - MOVIE_BASE) / MOVIES_MAX : is_file(ino) ? FILES : ROOT;
}

static fuse_ino_t find_child(fuse_ino_t parent, const char *name)
{
    char candidate[128];
    if (!strcmp(name, "."))
        return parent;
    if (!strcmp(name, ".."))
        return parent_of(parent);
    const char *digits = name + strcspn(name, "0123456789");
    const char *part = strstr(name, ".part-");
    uint64_t guess = parent == ROOT       ? (uint64_t)!strcmp(name, "files")
                     : is_release(parent) ? (part ? strtoull(part + 6, NULL, 10) : 0)
                                          : strtoull(digits, NULL, 10);
    fuse_ino_t ino = child(parent, guess, candidate, sizeof candidate);
    return ino && !strcmp(candidate, name) ? ino : 0;
}

static void on_init(void *data, struct fuse_conn_info *conn)
{
    (void)data;
    conn->max_read = max_read;
    /* The kernel's default lets 12 asynchronous direct reads through at a time, whatever the daemon could do. */
    conn->max_background = threads;
    conn->want |= conn->capable & FUSE_CAP_EXPORT_SUPPORT;
    if (!plus)
        conn->want &= ~(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
}

static void fill_entry(fuse_ino_t ino, struct fuse_entry_param *e)
{
    memset(e, 0, sizeof *e);
    e->ino = ino;
    e->entry_timeout = entry_timeout;
    e->attr_timeout = attr_timeout;
    fill_stat(ino, &e->attr);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param e;
    fuse_ino_t ino = find_child(parent, name);
    if (!ino) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    fill_entry(ino, &e);
    fuse_reply_entry(req, &e);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    (void)fi;
    int error = fill_stat(ino, &st);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_attr(req, &st, attr_timeout);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    if ((fi->flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(req, EROFS);
        return;
    }
    fi->keep_cache = keep_cache;
    fuse_reply_open(req, fi);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)fi;
    if (latency_ms) {
        struct timespec wait = {latency_ms / 1000, latency_ms % 1000 * 1000000};
        nanosleep(&wait, NULL);
    }
    uint64_t left = (uint64_t)offset < file_size ? file_size - offset : 0;
    if (size > left)
        size = left;
    if (size > PATTERN_SPAN)
        size = PATTERN_SPAN;
    fuse_reply_buf(req, (const char *)pattern_at(content_index(ino), offset), size);
}

/* Offsets 1 and 2 stand for "." and "..", child i for i + 3. */
static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, int with_attributes)
{
    char *buffer = malloc(size);
    size_t used = 0;
    for (uint64_t i = offset;; i++) {
        char name[128];
        struct fuse_entry_param e;
        fuse_ino_t node = i == 0 ? ino : i == 1 ? parent_of(ino) : child(ino, i - 2, name, sizeof name);
        if (!node || !buffer)
            break;
        if (i < 2)
            strcpy(name, i ? ".." : ".");
        fill_entry(node, &e);
        if (i < 2)
            e.ino = 0;
        size_t need = with_attributes ? fuse_add_direntry_plus(req, buffer + used, size - used, name, &e, i + 1)
                                      : fuse_add_direntry(req, buffer + used, size - used, name, &e.attr, i + 1);
        if (need > size - used)
            break;
        used += need;
    }
    fuse_reply_buf(req, buffer, used);
    free(buffer);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, offset, 0);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, offset, 1);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1ull << 30, .f_bfree = 1ull << 29,
                         .f_bavail = 1ull << 29, .f_files = releases * 2, .f_namemax = 255};
    fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops operations = {
    .init = on_init,
    .lookup = on_lookup,
    .getattr = on_getattr,
    .open = on_open,
    .read = on_read,
    .readdir = on_readdir,
    .readdirplus = on_readdirplus,
    .statfs = on_statfs,
};

static void parse_argument(const char *argument)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"files", &files},           {"size", &file_size},         {"releases", &releases},
                   {"nlink", &nlink_value},     {"latency-ms", &latency_ms},  {"max-read", &max_read},
                   {"keep-cache", &keep_cache}, {"readdirplus", &plus},       {"threads", &threads},
                   {"movies", &movies},         {"clock-folders", &clock_folders}};
    const char *value = strchr(argument, '=');
    if (!value)
        fail("%s: name=value expected", argument);
    size_t n = value++ - argument;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strlen(numbers[i].name) == n && !strncmp(argument, numbers[i].name, n)) {
            *numbers[i].value = strtoull(value, NULL, 10);
            return;
        }
    if (!strncmp(argument, "entry-timeout", n))
        entry_timeout = strtod(value, NULL);
    else if (!strncmp(argument, "attr-timeout", n))
        attr_timeout = strtod(value, NULL);
    else
        fail("%s: unknown option", argument);
}

int main(int argc, char **argv)
{
    char options[160];
    if (argc < 2)
        fail("usage: tree MOUNTPOINT [name=value ...]");
    /* The mount must not outlive the driver, however the driver ends. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 2; i < argc; i++)
        parse_argument(argv[i]);
    pattern_init();
    snprintf(options, sizeof options, "-oallow_other,default_permissions,fsname=bench,subtype=bench,max_read=%u",
             (unsigned)max_read);
    char *fuse_argv[] = {argv[0], options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, fuse_argv);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    if (!session || fuse_set_signal_handlers(session) || fuse_session_mount(session, argv[1]))
        return 1;
    puts("mounted");
    fflush(stdout);
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(loop, 0);
    fuse_loop_cfg_set_max_threads(loop, threads);
    fuse_loop_cfg_set_idle_threads(loop, threads);
    int result = fuse_session_loop_mt(session, loop);
    fuse_session_unmount(session);
    return result != 0;
}
