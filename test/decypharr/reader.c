/*
 * A reader that runs commands, for seeks and pauses: over libnfs (-DOVER_NFS), libsmbclient (-DOVER_SMB) or locally.
 *
 *   reader HOST PORT SHARE     (locally: reader MOUNTPOINT - -)
 *
 * Commands on standard input: `open PATH`, `read OFFSET LENGTH`, `close`. Each is answered by one line, `ok BYTES MICROSECONDS` or
 * `error TEXT`. The answer to a read is followed by the bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *problem = "";

#if defined(OVER_NFS)
#include <nfsc/libnfs.h>

static struct nfs_context *nfs;
static struct nfsfh *file;

static int start(char **argv) {
  char url[512];
  nfs = nfs_init_context();
  snprintf(url, sizeof url, "nfs://%s/%s?version=3&nfsport=%s&mountport=%s", argv[1], argv[3], argv[2], argv[2]);
  struct nfs_url *parsed = nfs_parse_url_dir(nfs, url);
  int failed = !parsed || nfs_mount(nfs, parsed->server, parsed->path);
  problem = nfs_get_error(nfs);
  return failed;
}

static int open_file(const char *path) {
  int failed = nfs_open(nfs, path, O_RDONLY, &file);
  problem = nfs_get_error(nfs);
  return failed;
}

static long read_some(uint64_t offset, char *to, size_t length) {
#ifdef LIBNFS_API_V2
  int got = nfs_pread(nfs, file, to, length, offset);
#else
  int got = nfs_pread(nfs, file, offset, length, to);
#endif
  problem = nfs_get_error(nfs);
  return got;
}

static void close_file(void) { nfs_close(nfs, file); }

#elif defined(OVER_SMB)
#include <samba-4.0/libsmbclient.h>

static char base[512];
static int file = -1;

static void give_credentials(SMBCCTX *c, const char *server, const char *share, char *group, int group_room, char *name,
                             int name_room, char *secret, int secret_room) {
  (void)c, (void)server, (void)share;
  snprintf(group, group_room, "WORKGROUP");
  snprintf(name, name_room, "guest");
  snprintf(secret, secret_room, "%s", "");
}

static int start(char **argv) {
  SMBCCTX *context = smbc_new_context();
  problem = "libsmbclient";
  if (!context || smbc_setConfiguration(context, "/dev/null")) return 1;
  smbc_setDebug(context, 0);
  smbc_setFunctionAuthDataWithContext(context, give_credentials);
  smbc_setPort(context, atoi(argv[2]));
  smbc_setTimeout(context, 600000);
  if (!smbc_init_context(context)) return 1;
  smbc_set_context(context);
  snprintf(base, sizeof base, "smb://%s/%s", argv[1], argv[3]);
  return 0;
}

static int open_file(const char *path) {
  char url[2048];
  snprintf(url, sizeof url, "%s%s", base, path);
  file = smbc_open(url, O_RDONLY, 0);
  problem = strerror(errno);
  return file < 0;
}

static long read_some(uint64_t offset, char *to, size_t length) {
  long got = smbc_lseek(file, offset, SEEK_SET) < 0 ? -1 : smbc_read(file, to, length);
  problem = strerror(errno);
  return got;
}

static void close_file(void) { smbc_close(file); }

#else
static char *base;
static int file = -1;

static int start(char **argv) {
  base = argv[1];
  return 0;
}

static int open_file(const char *path) {
  char whole[2048];
  snprintf(whole, sizeof whole, "%s%s", base, path);
  file = open(whole, O_RDONLY);
  problem = strerror(errno);
  return file < 0;
}

static long read_some(uint64_t offset, char *to, size_t length) {
  long got = pread(file, to, length, offset);
  problem = strerror(errno);
  return got;
}

static void close_file(void) { close(file); }
#endif

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static void answer(int failed, size_t bytes, uint64_t since) {
  if (failed) printf("error %s\n", problem);
  else printf("ok %zu %llu\n", bytes, (unsigned long long)(now_us() - since));
}

static void read_range(uint64_t offset, size_t length) {
  char *buffer = malloc(length);
  size_t done = 0;
  long got = 1;
  uint64_t since = now_us();
  while (done < length && (got = read_some(offset + done, buffer + done, length - done)) > 0) done += got;
  answer(got < 0, done, since);
  if (got >= 0) fwrite(buffer, 1, done, stdout);
  free(buffer);
}

int main(int argc, char **argv) {
  char line[1024], path[1000];
  unsigned long long offset, length;
  if (argc < 4) return 2;
  if (start(argv)) {
    fprintf(stderr, "%s\n", problem);
    return 1;
  }
  while (fgets(line, sizeof line, stdin)) {
    uint64_t since = now_us();
    if (sscanf(line, "open %999[^\n]", path) == 1) answer(open_file(path), 0, since);
    else if (sscanf(line, "read %llu %llu", &offset, &length) == 2) read_range(offset, length);
    else if (strcmp(line, "close\n") == 0) {
      close_file();
      answer(0, 0, since);
    } else return 2;
    fflush(stdout);
  }
  return 0;
}
