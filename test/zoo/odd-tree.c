/*
 * A FUSE tree with odd answers: each folder in its root is odd in one way. odd-tree.ts can compute the bytes of every file. It
 * runs in the foreground, reads one command per line from stdin, and answers each with "done" unless stated otherwise:
 *
 *   statfs ok|zero|huge|ENOSYS|EIO|EACCES
 *   lookup|open|read PATH ok|ERRNO      sets the result of that call for that path
 *   direct PATH                         answers with the number of opens with O_DIRECT
 *
 * ERRNO is a name from the table below.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SHORT = 1,          /* Each answer has at most 3,000 bytes, with direct_io. */
	LATE = 2,           /* Reports a size of 0 but has 300,000 bytes, with direct_io. */
	REFUSE_OPEN = 4,    /* O_DIRECT: EINVAL at open. */
	REFUSE_READ = 8,    /* O_DIRECT: EINVAL at every read. */
	REFUSE_UNALIGNED = 16, /* O_DIRECT: EINVAL where offset or length is no multiple of 512. */
	NO_BLOCKS = 32,     /* st_blocks 0 */
	NO_LINKS = 64,      /* st_nlink 0 */
};

struct entry {
	const char *path;
	mode_t mode;
	int64_t size;
	int flags;
	int64_t seconds;
	long nanoseconds;
	const char *target;
	/* Errors; set by the table or by a command. */
	int lookup, open, read;
	/* Opens with O_DIRECT, refused ones too. */
	int direct;
};

#define DIRECTORY(path_) { .path = path_, .mode = S_IFDIR | 0755, .seconds = 1600000000 }
#define FILE_(path_, size_, ...) \
	{ .path = path_, .mode = S_IFREG | 0644, .size = size_, .seconds = 1600000000, __VA_ARGS__ }
#define TIMED(path_, seconds_, nanoseconds_) \
	{ .path = path_, .mode = S_IFREG | 0644, .size = 1, .seconds = seconds_, .nanoseconds = nanoseconds_ }
#define LINK(path_, target_) \
	{ .path = path_, .mode = S_IFLNK | 0777, .seconds = 1600000000, .target = target_ }

static struct entry entries[] = {
	DIRECTORY("/"),
	/* Listings without entry types. */
	DIRECTORY("/untyped"),
	FILE_("/untyped/a.mkv", 100000),
	FILE_("/untyped/b.mkv", 11),
	DIRECTORY("/untyped/folder"),
	FILE_("/untyped/folder/in.mkv", 10),
	LINK("/untyped/link", "a.mkv"),
	/* Listings with wrong entry types. */
	DIRECTORY("/mistyped"),
	FILE_("/mistyped/file.mkv", 70000),
	DIRECTORY("/mistyped/folder"),
	FILE_("/mistyped/folder/in.mkv", 4),
	LINK("/mistyped/link", "file.mkv"),
	/* Listings with every name twice. */
	DIRECTORY("/twice"),
	FILE_("/twice/one.mkv", 1),
	FILE_("/twice/two.mkv", 2),
	DIRECTORY("/twice/folder"),
	/* Names that are not UTF-8; the first two are equal after the bad bytes are replaced. */
	DIRECTORY("/names"),
	FILE_("/names/bad-\xff.mkv", 1000),
	FILE_("/names/bad-\xfe.mkv", 2000),
	FILE_("/names/latin-\xe9.mkv", 3000),
	FILE_("/names/good-\xc3\xa9.mkv", 4000),
	/* Times that a protocol cannot represent: before 1970, before 1601, after 2106, and beyond JavaScript's range. */
	DIRECTORY("/times"),
	TIMED("/times/year-1", -62135596800LL, 0),
	TIMED("/times/year-1500", -14831769600LL, 0),
	TIMED("/times/year-1601", -11644473600LL, 0),
	TIMED("/times/year-1901", INT32_MIN, 0),
	TIMED("/times/year-1969", -86400 * 30, 500000000),
	TIMED("/times/zero", 0, 0),
	TIMED("/times/almost-a-second", 1600000000, 999999999),
	TIMED("/times/year-2039", 2177452800LL, 0),
	TIMED("/times/year-2107", 4323369600LL, 0),
	TIMED("/times/year-2500", 16725225600LL, 0),
	TIMED("/times/year-9999", 253402300799LL, 0),
	TIMED("/times/largest", INT64_MAX, 0),
	TIMED("/times/smallest", INT64_MIN, 0),
	/* Sizes beyond 2^53, and counts of 0. */
	DIRECTORY("/sizes"),
	FILE_("/sizes/5-gib.mkv", 5368709120LL),
	FILE_("/sizes/above-2-53.mkv", 9007199254740993LL),
	FILE_("/sizes/largest.mkv", INT64_MAX),
	FILE_("/sizes/no-blocks.mkv", 1 << 20, .flags = NO_BLOCKS),
	FILE_("/sizes/no-links.mkv", 1 << 20, .flags = NO_LINKS),
	FILE_("/sizes/empty.mkv", 0),
	/* One bad entry among good ones. */
	DIRECTORY("/lookups"),
	FILE_("/lookups/a-good.mkv", 5000),
	FILE_("/lookups/EIO.mkv", 5, .lookup = EIO),
	FILE_("/lookups/EACCES.mkv", 5, .lookup = EACCES),
	FILE_("/lookups/ESTALE.mkv", 5, .lookup = ESTALE),
	FILE_("/lookups/ETIMEDOUT.mkv", 5, .lookup = ETIMEDOUT),
	FILE_("/lookups/ENOTCONN.mkv", 5, .lookup = ENOTCONN),
	FILE_("/lookups/ENOENT.mkv", 5, .lookup = ENOENT),
	FILE_("/lookups/EDQUOT.mkv", 5, .lookup = EDQUOT),
	FILE_("/lookups/EREMOTEIO.mkv", 5, .lookup = EREMOTEIO),
	FILE_("/lookups/EMEDIUMTYPE.mkv", 5, .lookup = EMEDIUMTYPE),
	FILE_("/lookups/ENODATA.mkv", 5, .lookup = ENODATA),
	FILE_("/lookups/z-good.mkv", 5000),
	DIRECTORY("/opens"),
	FILE_("/opens/EACCES.mkv", 5000, .open = EACCES),
	FILE_("/opens/EIO.mkv", 5000, .open = EIO),
	FILE_("/opens/ESTALE.mkv", 5000, .open = ESTALE),
	FILE_("/opens/good.mkv", 5000),
	DIRECTORY("/reads"),
	FILE_("/reads/EIO.mkv", 5000, .read = EIO),
	FILE_("/reads/EREMOTEIO.mkv", 5000, .read = EREMOTEIO),
	FILE_("/reads/short.mkv", 300000, .flags = SHORT),
	FILE_("/reads/late.mkv", 0, .flags = LATE),
	FILE_("/reads/refuse-open.mkv", 300001, .flags = REFUSE_OPEN),
	FILE_("/reads/refuse-read.mkv", 300001, .flags = REFUSE_READ),
	FILE_("/reads/refuse-unaligned.mkv", 300001, .flags = REFUSE_UNALIGNED),
	FILE_("/reads/tiny.mkv", 7, .flags = REFUSE_UNALIGNED),
	FILE_("/reads/good.mkv", 300001),
};
#define ENTRIES (sizeof entries / sizeof *entries)
#define LATE_SIZE 300000

static struct { const char *name; int value; } errors[] = {
	{ "ok", 0 }, { "EIO", EIO }, { "EACCES", EACCES }, { "ESTALE", ESTALE }, { "ENOSYS", ENOSYS },
	{ "ETIMEDOUT", ETIMEDOUT }, { "ENOTCONN", ENOTCONN }, { "ENOENT", ENOENT }, { "EINVAL", EINVAL },
};

static char statfs_mode[16] = "ok";
/* Inode numbers are above 2^63 and new at each lookup, as go-fuse counts them; the root's is 0. */
static uint64_t last_inode = 1ULL << 63;

static struct entry *find(const char *path)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (!strcmp(entries[i].path, path)) return &entries[i];
	return NULL;
}

static int is_in(const char *path, const char *folder)
{
	size_t length = strlen(folder);
	return !strncmp(path, folder, length) && path[length] == '/' && !strchr(path + length + 1, '/');
}

static unsigned char byte_at(int64_t offset)
{
	return (unsigned char)(offset * 31 ^ offset >> 8 ^ offset >> 16);
}

static int odd_getattr(const char *path, struct stat *stat, struct fuse_file_info *info)
{
	(void)info;
	struct entry *entry = find(path);
	if (!entry) return -ENOENT;
	if (entry->lookup) return -entry->lookup;
	memset(stat, 0, sizeof *stat);
	stat->st_ino = strcmp(path, "/") ? __atomic_add_fetch(&last_inode, 1, __ATOMIC_RELAXED) : 0;
	stat->st_mode = entry->mode;
	stat->st_nlink = entry->flags & NO_LINKS ? 0 : S_ISDIR(entry->mode) ? 2 : 1;
	stat->st_size = entry->target ? (off_t)strlen(entry->target) : entry->size;
	stat->st_blocks = entry->flags & NO_BLOCKS ? 0 : entry->size / 512;
	stat->st_mtim.tv_sec = stat->st_ctim.tv_sec = stat->st_atim.tv_sec = entry->seconds;
	stat->st_mtim.tv_nsec = stat->st_ctim.tv_nsec = stat->st_atim.tv_nsec = entry->nanoseconds;
	return 0;
}

/* The entry's type in listings. */
static mode_t listed_mode(const char *folder, mode_t mode)
{
	if (!strcmp(folder, "/untyped")) return 0;
	if (strcmp(folder, "/mistyped")) return mode;
	return S_ISDIR(mode) ? S_IFREG : S_ISREG(mode) ? S_IFLNK : S_IFDIR;
}

static int odd_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
		       struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
	(void)offset, (void)info, (void)flags;
	const char *folder = strcmp(path, "/") ? path : "";
	fill(buffer, ".", NULL, 0, 0);
	fill(buffer, "..", NULL, 0, 0);
	for (size_t i = 1; i < ENTRIES; i++) {
		if (!is_in(entries[i].path, folder)) continue;
		struct stat stat = { .st_mode = listed_mode(path, entries[i].mode), .st_ino = 1000 + i };
		const char *name = strrchr(entries[i].path, '/') + 1;
		fill(buffer, name, &stat, 0, 0);
		if (!strcmp(path, "/twice")) fill(buffer, name, &stat, 0, 0);
	}
	return 0;
}

static int odd_readlink(const char *path, char *target, size_t size)
{
	struct entry *entry = find(path);
	if (!entry || !entry->target) return -EINVAL;
	snprintf(target, size, "%s", entry->target);
	return 0;
}

static int odd_open(const char *path, struct fuse_file_info *info)
{
	struct entry *entry = find(path);
	if (!entry) return -ENOENT;
	if (entry->open) return -entry->open;
	if ((info->flags & O_ACCMODE) != O_RDONLY) return -EROFS;
	if (info->flags & O_DIRECT) entry->direct++;
	if (info->flags & O_DIRECT && entry->flags & REFUSE_OPEN) return -EINVAL;
	info->fh = info->flags & O_DIRECT;
	info->direct_io = (entry->flags & (SHORT | LATE)) != 0;
	return 0;
}

static int odd_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct entry *entry = find(path);
	if (entry->read) return -entry->read;
	int flags = info->fh ? entry->flags : 0;
	if (flags & REFUSE_READ) return -EINVAL;
	if (flags & REFUSE_UNALIGNED && (offset % 512 || size % 512)) return -EINVAL;
	int64_t end = entry->flags & LATE ? LATE_SIZE : entry->size;
	if (offset >= end) return 0;
	if ((int64_t)size > end - offset) size = end - offset;
	if (entry->flags & SHORT && size > 3000) size = 3000;
	for (size_t i = 0; i < size; i++) buffer[i] = byte_at(offset + i);
	return size;
}

static int odd_statfs(const char *path, struct statvfs *space)
{
	(void)path;
	memset(space, 0, sizeof *space);
	if (!strcmp(statfs_mode, "zero")) return 0;
	for (size_t i = 1; i < sizeof errors / sizeof *errors; i++)
		if (!strcmp(statfs_mode, errors[i].name)) return -errors[i].value;
	space->f_namemax = 255;
	space->f_bsize = space->f_frsize = 4096;
	space->f_blocks = 1 << 28;
	space->f_bfree = space->f_bavail = 1 << 27;
	space->f_files = 1000000;
	space->f_ffree = space->f_favail = 900000;
	if (!strcmp(statfs_mode, "huge")) {
		space->f_blocks = space->f_bfree = space->f_bavail = UINT64_MAX >> 1;
		space->f_files = space->f_ffree = space->f_favail = UINT64_MAX;
	}
	return 0;
}

/* Sets an error. Returns -1 for an invalid command. */
static int obey(const char *what, const char *path, const char *value)
{
	struct entry *entry = find(path);
	for (size_t i = 0; entry && i < sizeof errors / sizeof *errors; i++) {
		if (strcmp(value, errors[i].name)) continue;
		int *error = !strcmp(what, "lookup") ? &entry->lookup
			   : !strcmp(what, "open") ? &entry->open : &entry->read;
		*error = errors[i].value;
		return 0;
	}
	return -1;
}

static void *listen_to_stdin(void *unused)
{
	char line[PATH_MAX + 64], what[16], path[PATH_MAX], value[16];
	while (fgets(line, sizeof line, stdin)) {
		if (sscanf(line, "statfs %15s", statfs_mode) == 1) puts("done");
		else if (sscanf(line, "direct %4095s", path) == 1 && find(path)) printf("%d\n", find(path)->direct);
		else if (sscanf(line, "%15s %4095s %15s", what, path, value) == 3 && !obey(what, path, value)) puts("done");
		else puts("what?");
		fflush(stdout);
	}
	return unused;
}

static void *odd_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	pthread_t thread;
	config->use_ino = 1;
	config->entry_timeout = config->attr_timeout = 1;
	config->negative_timeout = 0;
	connection->want &= ~FUSE_CAP_READDIRPLUS;
	pthread_create(&thread, NULL, listen_to_stdin, NULL);
	return NULL;
}

static const struct fuse_operations operations = {
	.init = odd_init,
	.getattr = odd_getattr,
	.readdir = odd_readdir,
	.readlink = odd_readlink,
	.open = odd_open,
	.read = odd_read,
	.statfs = odd_statfs,
};

int main(int argc, char **argv)
{
	return fuse_main(argc, argv, &operations, NULL);
}
