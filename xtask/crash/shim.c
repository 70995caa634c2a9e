/* Preloaded into a process on Linux: writes down every change that it makes to files below SHIM_ROOT, and lets the system refuse
 * one of them. What the tests make of that is xtask/src/crash's matter.
 *
 * SHIM_TRACE=FILE   a line for each change, in order; the bytes that are written stand in FILE.data, one after the other:
 *                             open FD create|keep cut|whole PATH     write FD OFFSET LENGTH     cut FD LENGTH     sync FD     close FD
 *                             rename FROM TO     mkdir PATH     unlink PATH     rmdir PATH     copy FD LENGTH
 * SHIM_FAIL=CALL:N:ERRNO:once|ever   the N-th such call below the root (counted from 1) fails, or it and all that follow;
 *                             CALL is open, write, fsync, rename, mkdir or unlink
 * SHIM_KILL=N       the process is killed at the N-th change (counted from 1); of a write, half is done
 * SHIM_COUNT=FILE   at the process's end, how often each CALL was made */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum call { OPEN, WRITE, FSYNC, RENAME, MKDIR, UNLINK, CALLS };
static const char *const NAMES[CALLS] = {"open", "write", "fsync", "rename", "mkdir", "unlink"};

#define FDS 4096
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *held[FDS];
static int ready, trace = -1, trace_data = -1;
static const char *root;
static long counts[CALLS], fail_at, changes, kill_at;
static int fail_call = -1, fail_errno, fail_ever;

/* Past our own functions, so that nothing here is traced or refused. */
static void put(int file, const void *bytes, size_t length) {
    for (const char *at = bytes; length > 0;) {
        long done = syscall(SYS_write, file, at, length);
        if (done <= 0) return;
        at += done;
        length -= (size_t)done;
    }
}

static void start(void) {
    if (ready) return;
    ready = 1;
    root = getenv("SHIM_ROOT");
    const char *path = getenv("SHIM_TRACE");
    if (path) {
        char data[PATH_MAX];
        snprintf(data, sizeof data, "%s.data", path);
        trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        trace_data = (int)syscall(SYS_openat, AT_FDCWD, data, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
    const char *number = getenv("SHIM_KILL");
    if (number) kill_at = atol(number);
    const char *fail = getenv("SHIM_FAIL");
    char name[16], how[16];
    if (fail && sscanf(fail, "%15[a-z]:%ld:%d:%15s", name, &fail_at, &fail_errno, how) == 4) {
        fail_ever = strcmp(how, "ever") == 0;
        for (int call = 0; call < CALLS; call++)
            if (strcmp(name, NAMES[call]) == 0) fail_call = call;
    }
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("SHIM_COUNT");
    if (!ready || !path) return;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    for (int call = 0; call < CALLS; call++) {
        char line[64];
        put(file, line, (size_t)snprintf(line, sizeof line, "%s %ld\n", NAMES[call], counts[call]));
    }
    syscall(SYS_close, file);
}

/* The whole path below the root, or nothing. */
static int below(int folder, const char *path, char *whole) {
    char base[PATH_MAX] = "";
    if (!root || !path) return 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
        if (snprintf(whole, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    } else if (snprintf(whole, PATH_MAX, "%s", path) >= PATH_MAX) {
        return 0;
    }
    size_t length = strlen(root);
    return strncmp(whole, root, length) == 0 && (whole[length] == '/' || whole[length] == 0);
}

static void say(const char *format, ...) {
    if (trace < 0) return;
    char line[2 * PATH_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    put(trace, line, (size_t)length);
}

/* Counts a change; whether the process shall not survive it. */
static int doomed(void) { return ++changes == kill_at; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts a call; whether the system shall refuse it. */
static int refused(enum call call) {
    long count = ++counts[call];
    if (fail_call != (int)call || count < fail_at || (count > fail_at && !fail_ever)) return 0;
    errno = fail_errno;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(const char *symbol, int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    pthread_mutex_lock(&lock);
    start();
    int ours = below(folder, path, whole);
    if (ours && (flags & O_ACCMODE) != O_RDONLY && doomed()) die();
    if (ours && refused(OPEN)) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    int existed = ours && syscall(SYS_faccessat, folder, path, F_OK) == 0;
    int file = ((int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, symbol))(folder, path, flags, mode);
    if (ours && file >= 0 && file < FDS) {
        free(held[file]);
        held[file] = strdup(whole);
        say("open %d %s %s %s\n", file, !existed && (flags & O_CREAT) ? "create" : "keep",
            flags & O_TRUNC ? "cut" : "whole", whole);
    }
    pthread_mutex_unlock(&lock);
    return file;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode = (mode_t)va_arg(arguments, int); \
        va_end(arguments); \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened("openat", AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened("openat64", AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return opened("openat", folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return opened("openat64", folder, path, flags, mode); }

int close(int file) {
    pthread_mutex_lock(&lock);
    start();
    if (file >= 0 && file < FDS && held[file]) {
        say("close %d\n", file);
        free(held[file]);
        held[file] = NULL;
    }
    pthread_mutex_unlock(&lock);
    return REAL(close)(file);
}

ssize_t write(int file, const void *bytes, size_t length) {
    pthread_mutex_lock(&lock);
    start();
    int ours = file >= 0 && file < FDS && held[file];
    if (ours && doomed()) {
        put(file, bytes, length / 2);
        die();
    }
    if (ours && refused(WRITE)) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    off_t offset = ours ? lseek(file, 0, SEEK_CUR) : 0;
    ssize_t done = REAL(write)(file, bytes, length);
    if (ours && done > 0) {
        say("write %d %ld %ld\n", file, (long)offset, (long)done);
        if (trace >= 0) put(trace_data, bytes, (size_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

/* How Python copies a file. What is copied stands in no trace. */
static ssize_t copied(const char *symbol, int to, int from, off_t *offset, size_t length) {
    ssize_t (*real)(int, int, off_t *, size_t) = (ssize_t (*)(int, int, off_t *, size_t))dlsym(RTLD_NEXT, symbol);
    struct stat whole;
    pthread_mutex_lock(&lock);
    start();
    int ours = to >= 0 && to < FDS && held[to];
    if (ours && doomed()) {
        if (fstat(from, &whole) == 0) real(to, from, offset, (size_t)whole.st_size / 2);
        die();
    }
    ssize_t done = ours && refused(WRITE) ? -1 : real(to, from, offset, length);
    if (ours && done >= 0) say("copy %d %ld\n", to, (long)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length) { return copied("sendfile", to, from, offset, length); }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t length) { return copied("sendfile64", to, from, offset, length); }

static int synced(const char *symbol, int file) {
    pthread_mutex_lock(&lock);
    start();
    int ours = file >= 0 && file < FDS && held[file];
    if (ours && doomed()) die();
    if (ours && refused(FSYNC)) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    int result = ((int (*)(int))dlsym(RTLD_NEXT, symbol))(file);
    if (ours && result == 0) say("sync %d\n", file);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int file) { return synced("fsync", file); }
int fdatasync(int file) { return synced("fdatasync", file); }

static int cut(const char *symbol, int file, off_t length) {
    pthread_mutex_lock(&lock);
    start();
    int result = ((int (*)(int, off_t))dlsym(RTLD_NEXT, symbol))(file, length);
    if (result == 0 && file >= 0 && file < FDS && held[file]) say("cut %d %ld\n", file, (long)length);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int file, off_t length) { return cut("ftruncate", file, length); }
int ftruncate64(int file, off64_t length) { return cut("ftruncate64", file, length); }

int rename(const char *from, const char *to) {
    char whole[PATH_MAX], target[PATH_MAX];
    pthread_mutex_lock(&lock);
    start();
    int ours = below(AT_FDCWD, from, whole) && below(AT_FDCWD, to, target);
    if (ours && doomed()) die();
    int result = ours && refused(RENAME) ? -1 : REAL(rename)(from, to);
    if (ours && result == 0) say("rename %s %s\n", whole, target);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    char whole[PATH_MAX];
    pthread_mutex_lock(&lock);
    start();
    int ours = below(AT_FDCWD, path, whole);
    if (ours && doomed()) die();
    int result = ours && refused(MKDIR) ? -1 : REAL(mkdir)(path, mode);
    if (ours && result == 0) say("mkdir %s\n", whole);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlinkat(int folder, const char *path, int flags) {
    char whole[PATH_MAX];
    pthread_mutex_lock(&lock);
    start();
    int ours = below(folder, path, whole);
    if (ours && doomed()) die();
    int result = ours && refused(UNLINK) ? -1 : REAL(unlinkat)(folder, path, flags);
    if (ours && result == 0) say("%s %s\n", flags & AT_REMOVEDIR ? "rmdir" : "unlink", whole);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
