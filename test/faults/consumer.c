/*
 * A consumer of the mount in the guest: reads or lists repeatedly, checks all results, and times every call.
 *
 *   consumer read FILE [KEY=VALUE…]   consumer list FOLDER [KEY=VALUE…]   consumer names FOLDER [KEY=VALUE…]
 *
 * It prints one line of JSON at its end. A failed call is a result, not an error of the program: the exit code is still 0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The content of src/demo/content.ts. */
enum { PAGE = 4096, STAMP = 12, POOL = 1024 * 1024 + 7919 };
static unsigned char pool[POOL];

static const char *seed = "", *other_seed, *mark, *wait_flag, *loop_flag;
static long long size = -1, chunk = 256 * 1024, rate, mark_at, limit = -1, expected = -1, pause_ms, drop, retry_ms, from;

static long long bytes, other_pages, wrong_at = -1, loops, entries_min = -1, entries_max = -1, doubled;
static double longest, longest_at, first_ms = -1, begun;
static const char *longest_call = "";
static char errors[4096];
static int error_count;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void sleep_ms(double ms) {
  struct timespec t = {(time_t)(ms / 1000), (long)((ms - 1000 * (long)(ms / 1000)) * 1e6)};
  if (ms > 0) nanosleep(&t, NULL);
}

static int flagged(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/tmp/flags/%s", name);
  return access(path, F_OK) == 0;
}

static void await(const char *name) {
  while (!flagged(name)) sleep_ms(10);
}

static void tell(const char *name) {
  char line[256];
  int length = snprintf(line, sizeof line, "mark %s %s\n", getenv("JOB"), name);
  int tty = open("/dev/tty1", O_WRONLY);
  if (tty < 0 || write(tty, line, length) != length) exit(2);
  close(tty);
}

/* Records the duration of a call that began at `start`. */
static void timed(const char *call, double start) {
  double took = now() - start;
  if (took <= longest) return;
  longest = took;
  longest_at = start - begun;
  longest_call = call;
}

static void failed(const char *call, const char *path, int error, long long at) {
  const char *name = strerrorname_np(error);
  size_t used = strlen(errors);
  error_count++;
  if (used > sizeof errors - 400) return;
  snprintf(errors + used, sizeof errors - used,
           "%s{\"call\":\"%s\",\"path\":\"%.200s\",\"error\":\"%s\",\"at\":%lld,\"afterMs\":%.0f}", used ? "," : "",
           call, path, name ? name : "?", at, now() - begun);
}

static void make_pool(void) {
  uint32_t state = 0x9e3779b9;
  for (int i = 0; i < POOL; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    pool[i] = state & 0xff;
  }
}

static uint32_t key_of(const char *text) {
  uint32_t hash = 0x811c9dc5;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x01000193;
  return hash;
}

/* Whether these bytes, which lie in one page, are those of the file of `key` at `offset`. */
static int same(uint32_t key, long long offset, const unsigned char *got, size_t length) {
  unsigned char page[PAGE];
  size_t from = (size_t)((key + (uint64_t)offset) % POOL), head = length < POOL - from ? length : POOL - from;
  memcpy(page, pool + from, head);
  memcpy(page + head, pool, length - head);
  uint64_t number = offset / PAGE;
  size_t inside = offset % PAGE;
  if (inside < STAMP) {
    unsigned char stamp[STAMP];
    uint16_t sum = (uint16_t)(number ^ key);
    memcpy(stamp, &key, 4);
    memcpy(stamp + 4, &number, 6);
    memcpy(stamp + 10, &sum, 2);
    size_t rest = STAMP - inside;
    memcpy(page, stamp + inside, rest < length ? rest : length);
  }
  return memcmp(page, got, length) == 0;
}

static void check(long long offset, const unsigned char *got, size_t length) {
  uint32_t key = key_of(seed), other = other_seed ? key_of(other_seed) : 0;
  while (length > 0) {
    size_t part = PAGE - offset % PAGE;
    if (part > length) part = length;
    if (same(key, offset, got, part)) {
    } else if (other_seed && same(other, offset, got, part)) other_pages++;
    else if (wrong_at < 0) wrong_at = offset;
    offset += part;
    got += part;
    length -= part;
  }
}

/* One pass over the file; 0 if a call failed. */
static int read_once(const char *path, unsigned char *buffer) {
  double start = now(), pass = start;
  int file = open(path, O_RDONLY);
  timed("open", start);
  if (file < 0) return failed("open", path, errno, 0), 0;
  long long offset = from, end = limit >= 0 ? from + limit : INT64_MAX;
  int good = lseek(file, from, SEEK_SET) == from;
  while (offset < end) {
    start = now();
    ssize_t got = read(file, buffer, end - offset < chunk ? end - offset : chunk);
    timed("read", start);
    if (got < 0) good = 0, failed("read", path, errno, offset);
    if (got <= 0) break;
    if (first_ms < 0) first_ms = now() - begun;
    check(offset, buffer, got);
    offset += got;
    bytes += got;
    if (mark && offset - from >= mark_at) {
      tell(mark);
      mark = NULL;
      if (wait_flag) await(wait_flag);
      pass = now() - (rate ? (offset - from) * 1e3 / rate : 0);
    }
    if (rate) sleep_ms(pass + (offset - from) * 1e3 / rate - now());
  }
  long long whole = limit >= 0 && from + limit < size ? from + limit : size;
  if (good && size >= 0 && offset != whole) good = 0, failed("end", path, ENODATA, offset);
  posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  close(file);
  return good;
}

struct entry { uint64_t inode; int64_t offset; unsigned short length; unsigned char type; char name[]; };

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* One pass over the folder, with a stat of its first and last entry; 0 if a call failed. */
static int list_once(const char *path, int print) {
  static char **names;
  static size_t room;
  size_t count = 0;
  char buffer[32768], child[4096];
  double start = now(), pass = start, slow = 0;
  const char *slowest = "";
#define STEP(call)                                                                                                     \
  do {                                                                                                                 \
    if (print) timed(call, start);                                                                                     \
    if (now() - start > slow) slow = now() - start, slowest = call;                                                    \
    start = now();                                                                                                     \
  } while (0)
  int folder = open(path, O_RDONLY | O_DIRECTORY), good = 1;
  STEP("opendir");
  if (folder < 0) return timed("opendir", pass), failed("opendir", path, errno, 0), 0;
  for (;;) {
    long got = syscall(SYS_getdents64, folder, buffer, chunk < (long)sizeof buffer ? chunk : (long)sizeof buffer);
    STEP("readdir");
    if (got < 0) good = 0, failed("readdir", path, errno, count);
    if (got <= 0) break;
    for (long at = 0; at < got;) {
      struct entry *entry = (struct entry *)(buffer + at);
      at += entry->length;
      if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0) continue;
      if (count == room) names = realloc(names, (room = room * 2 + 1024) * sizeof *names);
      names[count++] = strdup(entry->name);
    }
    if (print && mark && (long long)count >= mark_at) {
      tell(mark);
      mark = NULL;
      if (wait_flag) await(wait_flag);
    }
    start = now();
  }
  close(folder);
  for (int last = 0; last < 2 && good && count > 0; last++) {
    struct stat status;
    snprintf(child, sizeof child, "%s/%s", path, names[last ? count - 1 : 0]);
    int looked = lstat(child, &status), error = errno;
    STEP("stat");
    if (looked < 0) good = 0, failed("stat", child, error, 0);
  }
  if (!print) timed(slowest, pass);
  if (!print && mark && good) {
    tell(mark);
    mark = NULL;
  }
  if (good) {
    if (entries_min < 0 || (long long)count < entries_min) entries_min = count;
    if ((long long)count > entries_max) entries_max = count;
    if (expected >= 0 && (long long)count != expected) failed("count", path, ENODATA, count);
  }
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && strcmp(names[i - 1], names[i]) == 0) doubled++;
    if (print) puts(names[i]);
  }
  for (size_t i = 0; i < count; i++) free(names[i]);
  return good;
}

static void drop_caches(void) {
  int file = open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (file < 0 || write(file, "3", 1) != 1) exit(2);
  close(file);
}

static void option(char *text) {
  struct { const char *key; const char **text; long long *number; } known[] = {
      {"seed", &seed, 0},        {"other", &other_seed, 0},  {"mark", &mark, 0},         {"wait", &wait_flag, 0},
      {"loop", &loop_flag, 0},   {"size", 0, &size},         {"chunk", 0, &chunk},       {"rate", 0, &rate},
      {"at", 0, &mark_at},       {"limit", 0, &limit},       {"expected", 0, &expected}, {"pause", 0, &pause_ms},
      {"drop", 0, &drop},        {"retry", 0, &retry_ms},   {"from", 0, &from},
  };
  char *value = strchr(text, '=');
  for (size_t i = 0; value && i < sizeof known / sizeof *known; i++) {
    if (strncmp(text, known[i].key, value - text) != 0 || known[i].key[value - text] != 0) continue;
    if (known[i].text) *known[i].text = value + 1;
    else *known[i].number = atoll(value + 1);
    return;
  }
  fprintf(stderr, "unknown option %s\n", text);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  for (int i = 3; i < argc; i++) option(argv[i]);
  int reading = strcmp(argv[1], "read") == 0, names = strcmp(argv[1], "names") == 0;
  unsigned char *buffer = malloc(chunk);
  make_pool();
  begun = now();
  for (;;) {
    if (drop) drop_caches();
    int good = reading ? read_once(argv[2], buffer) : list_once(argv[2], names);
    loops++;
    if (good ? !loop_flag : !retry_ms) break;
    if (loop_flag && flagged(loop_flag)) break;
    sleep_ms(good ? pause_ms : retry_ms);
  }
  printf("{\"bytes\":%lld,\"otherPages\":%lld,\"wrongAt\":%lld,\"loops\":%lld,\"entriesMin\":%lld,\"entriesMax\":%lld,"
         "\"doubled\":%lld,\"longestMs\":%.1f,\"longestCall\":\"%s\",\"longestAtMs\":%.0f,\"firstMs\":%.1f,\"tookMs\":%.1f,\"errorCount\":%d,"
         "\"errors\":[%s]}\n",
         bytes, other_pages, wrong_at, loops, entries_min, entries_max, doubled, longest, longest_call, longest_at, first_ms,
         now() - begun, error_count, errors);
  return 0;
}
