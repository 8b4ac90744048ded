/* Time and death as a test wants them, preloaded into the processes of tests/daemon.

   PRELOADED names a file of four numbers of eight bytes that all of them share and that may change at any time:
     0  seconds by which the wall clock is off (time that only runs on is left alone, as a step leaves it)
     1  nanoseconds by which all time is ahead: it only grows, and who waits for a time wakes when that has come
     2  the daemon is killed at this many commits of its journal in this life; 0: it lives
     3  when: 0 as soon as the commit is on the disk, 1 when the next one is about to be written
   JOURNAL_LOG names the journal's write-ahead log: only a process that has it in its environment is killed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
/* Who waits looks so often whether time has leapt, in nanoseconds. */
#define SLICE (4 * SECOND / 1000)

enum { STEP, AHEAD, KILL_AT, KILL_WHEN };

static volatile const int64_t *told;
static const char *journal;
static volatile int64_t commits;
static long (*the_syscall)(long, ...);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("PRELOADED");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *seen = file < 0 ? MAP_FAILED : mmap(NULL, 4 * sizeof *told, PROT_READ, MAP_SHARED, file, 0);
    the_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    if (seen == MAP_FAILED || !the_syscall)
        abort(); /* nothing would be tested */
    told = seen;
    journal = getenv("JOURNAL_LOG");
}

/* ---- Time ---- */

static int64_t real(clockid_t clock) {
    struct timespec at;
    the_syscall(SYS_clock_gettime, clock, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    long result = syscall(SYS_clock_gettime, clock, at);
    int of_a_process = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0;
    if (result == 0 && told && !of_a_process) {
        int64_t passed = at->tv_nsec + told[AHEAD];
        at->tv_sec += passed / SECOND + (clock == CLOCK_REALTIME ? told[STEP] : 0);
        at->tv_nsec = passed % SECOND;
    }
    return (int)result;
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    int64_t until = timeout > 0 ? real(CLOCK_MONOTONIC) + told[AHEAD] + timeout * (SECOND / 1000) : 0;
    for (;;) {
        int wait = timeout;
        if (timeout > 0) {
            int64_t left = until - real(CLOCK_MONOTONIC) - told[AHEAD];
            wait = left <= 0 ? 0 : (int)(((left < SLICE ? left : SLICE) + SECOND / 1000 - 1) / (SECOND / 1000));
        }
        int ready = (int)the_syscall(SYS_epoll_pwait, epoll, events, most, wait, NULL, 8);
        if (ready != 0 || wait == timeout || wait == 0)
            return ready;
    }
}

/* Waits on a lock with a deadline: the deadline is one of the time that is told here. */
static long futex(uint32_t *word, int op, long value, const struct timespec *deadline, void *other, long bits) {
    int64_t until = deadline->tv_sec * SECOND + deadline->tv_nsec;
    for (;;) {
        int64_t now = real(CLOCK_MONOTONIC), left = until - now - told[AHEAD];
        int64_t wake = now + (left < SLICE ? (left < 0 ? 0 : left) : SLICE);
        struct timespec slice = {wake / SECOND, wake % SECOND};
        long result = the_syscall(SYS_futex, word, op, value, &slice, other, bits);
        if (result == 0 || errno != ETIMEDOUT || left <= SLICE)
            return result;
    }
}

long syscall(long number, ...) {
    va_list all;
    va_start(all, number);
    long a = va_arg(all, long), b = va_arg(all, long), c = va_arg(all, long);
    long d = va_arg(all, long), e = va_arg(all, long), f = va_arg(all, long);
    va_end(all);
    int waits = number == SYS_futex && d && (b & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && !(b & FUTEX_CLOCK_REALTIME);
    if (waits && told)
        return futex((uint32_t *)a, (int)b, c, (const struct timespec *)d, (void *)e, f);
    if (!the_syscall)
        the_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return the_syscall(number, a, b, c, d, e, f);
}

/* ---- Death ---- */

static int is_journal(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strcmp(path, journal) == 0;
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int synced(int file, long number) {
    int result = (int)the_syscall(number, file);
    int saved = errno;
    if (journal && result == 0 && is_journal(file)) {
        int64_t count = __sync_add_and_fetch(&commits, 1);
        if (count == told[KILL_AT] && told[KILL_WHEN] == 0)
            die();
    }
    errno = saved;
    return result;
}

int fsync(int file) { return synced(file, SYS_fsync); }

int fdatasync(int file) { return synced(file, SYS_fdatasync); }

static void about_to_write(int file) {
    if (journal && told[KILL_WHEN] == 1 && told[KILL_AT] > 0 && commits >= told[KILL_AT] && is_journal(file))
        die();
}

ssize_t write(int file, const void *bytes, size_t length) {
    about_to_write(file);
    return the_syscall(SYS_write, file, bytes, length);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t at) {
    about_to_write(file);
    return the_syscall(SYS_pwrite64, file, bytes, length, at);
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) {
    about_to_write(file);
    return the_syscall(SYS_pwrite64, file, bytes, length, at);
}
