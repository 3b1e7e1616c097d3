/*
 * SMB load over libsmbclient (one request at a time: its calls are synchronous).
 *   smb-load HOST PORT SHARE CONFIG USER PASSWORD plain|signed|encrypted seq|random|list|walk|ends PATH [name=value ...]
 * CONFIG is an smb.conf that holds the client's signing choice; USER "-" is a guest without a password.
 * Prints one JSON line {bytes, ops, seconds, p50, p99}; latencies in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <samba-4.0/libsmbclient.h>
#include <sys/stat.h>

#include "measure.h"

static const char *user, *password;
static char url[1024];

static void give_credentials(SMBCCTX *c, const char *server, const char *share, char *group, int group_room, char *name,
                             int name_room, char *secret, int secret_room)
{
    (void)c, (void)server, (void)share;
    snprintf(group, group_room, "WORKGROUP");
    snprintf(name, name_room, "%s", user);
    snprintf(secret, secret_room, "%s", password);
}

static void open_context(char **argv)
{
    SMBCCTX *context = smbc_new_context();
    int guest = !strcmp(argv[5], "-");
    user = guest ? "guest" : argv[5];
    password = guest ? "" : argv[6];
    if (!context || smbc_setConfiguration(context, argv[4]))
        fail("%s: not accepted", argv[4]);
    smbc_setDebug(context, 0);
    smbc_setFunctionAuthDataWithContext(context, give_credentials);
    smbc_setPort(context, atoi(argv[2]));
    smbc_setTimeout(context, 120000);
    smbc_setOptionNoAutoAnonymousLogin(context, !guest);
    if (!strcmp(argv[7], "encrypted"))
        smbc_setOptionSmbEncryptionLevel(context, SMBC_ENCRYPTLEVEL_REQUIRE);
    if (!smbc_init_context(context))
        fail("libsmbclient: %s", strerror(errno));
    smbc_set_context(context);
}

static void read_block(int fd, char *buffer, uint64_t size, uint64_t offset, uint64_t index, int check_all)
{
    if (smbc_lseek(fd, offset, SEEK_SET) < 0)
        fail("seek: %s", strerror(errno));
    ssize_t got = smbc_read(fd, buffer, size);
    if (got != (ssize_t)size)
        fail("read at %llu: %s", (unsigned long long)offset, got < 0 ? strerror(errno) : "short");
    check_content(index, offset, buffer, size, check_all);
}

static void measure_reads(const char *path, int random, struct options o)
{
    struct stat st;
    struct samples samples = {0};
    uint64_t bytes = 0, index = file_index(path), state = random ? o.seed : 0;
    char *buffer = malloc(PATTERN_SPAN);
    int fd = smbc_open(url, O_RDONLY, 0);
    if (fd < 0 || smbc_fstat(fd, &st))
        fail("%s: %s", url, strerror(errno));
    uint64_t blocks = st.st_size / o.size;
    if (!blocks)
        fail("%s: only %lld bytes", url, (long long)st.st_size);
    for (uint64_t i = 0; o.warm && i < (uint64_t)st.st_size / PATTERN_SPAN; i++)
        read_block(fd, buffer, PATTERN_SPAN, i * PATTERN_SPAN, index, 1);
    double start = now_us(), now = start;
    while (now - start < o.seconds * 1e6 && (random || o.warm || samples.count < blocks)) {
        uint64_t offset = next_offset(&o, random, &state, blocks);
        double sent = now;
        read_block(fd, buffer, o.size, offset, index, 0);
        now = now_us();
        add_sample(&samples, now - sent);
        bytes += o.size;
    }
    print_result(bytes, samples.count, now - start, &samples);
    smbc_close(fd);
}

static void read_end(uint64_t index, int tail)
{
    static char buffer[END_BYTES];
    char film[1280], name[128];
    struct stat st;
    film_name(name, sizeof name, index);
    snprintf(film, sizeof film, "%s/%s", url, name);
    int fd = smbc_open(film, O_RDONLY, 0);
    if (fd < 0 || smbc_fstat(fd, &st))
        fail("%s: %s", film, strerror(errno));
    read_block(fd, buffer, END_BYTES, tail ? (uint64_t)st.st_size - END_BYTES : 0, index, 1);
    smbc_close(fd);
}

struct names {
    char **all;
    size_t count, room;
};

/* Lists a folder with the attributes of each entry. Stores the names in `names`, unless it is NULL. */
static uint64_t list_folder(const char *at, const struct options *o, struct names *names)
{
    struct stat st;
    const struct libsmb_file_info *entry;
    uint64_t entries = 0;
    int directory = smbc_opendir(at);
    if (directory < 0)
        fail("%s: %s", at, strerror(errno));
    while ((entry = smbc_readdirplus2(directory, &st))) {
        if (!strcmp(entry->name, ".") || !strcmp(entry->name, ".."))
            continue;
        if (!st.st_mode || (o->links && !st.st_nlink))
            fail("%s: no attributes", entry->name);
        entries++;
        if (!names)
            continue;
        if (names->count == names->room) {
            names->room = names->room ? names->room * 2 : 4096;
            names->all = realloc(names->all, names->room * sizeof *names->all);
        }
        names->all[names->count++] = strdup(entry->name);
    }
    smbc_closedir(directory);
    return entries;
}

static uint64_t list_once(const struct options *o)
{
    uint64_t entries = list_folder(url, o, NULL);
    if (o->expect && entries != o->expect)
        fail("%llu entries instead of %llu", (unsigned long long)entries, (unsigned long long)o->expect);
    return entries;
}

/* Counts entries with attributes as operations; each latency is that of a whole listing. */
static void measure_listing(struct options o)
{
    struct samples samples = {0};
    uint64_t entries = 0;
    if (!o.once)
        list_once(&o);
    double start = now_us(), now = start;
    do {
        double sent = now;
        entries += list_once(&o);
        now = now_us();
        add_sample(&samples, now - sent);
    } while (!o.once && now - start < o.seconds * 1e6);
    print_result(0, entries, now - start, &samples);
}

/* Counts objects as operations; each latency is that of opening and listing one folder. */
static void measure_walk(struct options o)
{
    struct samples samples = {0};
    struct names names = {0};
    char at[2048];
    double start = now_us(), now = start;
    uint64_t objects = list_folder(url, &o, &names);
    for (size_t i = 0; i < names.count; i++) {
        double sent = now_us();
        snprintf(at, sizeof at, "%s/%s", url, names.all[i]);
        objects += list_folder(at, &o, NULL);
        now = now_us();
        add_sample(&samples, now - sent);
    }
    if (o.expect && objects != o.expect)
        fail("%llu objects instead of %llu", (unsigned long long)objects, (unsigned long long)o.expect);
    print_result(0, objects, now - start, &samples);
}

int main(int argc, char **argv)
{
    if (argc < 10)
        fail("usage: smb-load HOST PORT SHARE CONFIG USER PASSWORD plain|signed|encrypted seq|random|list|walk|ends PATH ...");
    struct options o = parse_options(argc, argv, 10);
    pattern_init();
    open_context(argv);
    snprintf(url, sizeof url, "smb://%s/%s%s", argv[1], argv[3], argv[9]);
    if (!strcmp(argv[8], "list"))
        measure_listing(o);
    else if (!strcmp(argv[8], "walk"))
        measure_walk(o);
    else if (!strcmp(argv[8], "ends"))
        scan_library(&o, read_end);
    else
        measure_reads(argv[9], !strcmp(argv[8], "random"), o);
    return 0;
}
