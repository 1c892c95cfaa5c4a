// SPDX-License-Identifier: BSD-3-Clause
/*
 * init.c - the first process of the RDMA bed's guest (vm.py): loads the modules of the initial
 * file system, makes the host's root, read-only, the lower half of its own, and runs scripts.
 *
 * Lines on the second serial port, from vm.py:	 run NUMBER SECONDS SCRIPT
 * and back:					 ready	  (once)
 *						 done NUMBER STATUS
 * A script runs as `bash SCRIPT >SCRIPT.out 2>&1` with the host's files around it; it and all of
 * its group are killed when its seconds are over (status 137). The work directory is the host's
 * and writable; it has the same name on both sides. Any failure before `ready`, an unknown line
 * or the end of `life` seconds powers the machine off: nothing waits for ever.
 *
 * Built static: nothing but the kernel is there when it starts.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ROOT	"/root"
#define CONTROL "/dev/ttyS1"
#define MODULES "/modules" /* paths, in the order of loading */
#define LINE	1024

static const char host_options[] = "trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose";
static const char work_options[] = "trans=virtio,version=9p2000.L,msize=262144,cache=none";

static void off(const char *what, ...)
{
	va_list args;

	if (what) {
		va_start(args, what);
		printf("init: ");
		vprintf(what, args);
		va_end(args);
		printf(": %s\n", strerror(errno));
		fflush(stdout);
	}
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void on_alarm(int signum)
{
	(void)signum;
	reboot(RB_POWER_OFF);
}

static void mount_at(const char *what, const char *type, const char *options, const char *at)
{
	mkdir(at, 0755); /* most are there */
	if (mount(what, at, type, 0, options))
		off("mount %s at %s", what, at);
}

static void load_modules(void)
{
	char line[LINE];
	FILE *f = fopen(MODULES, "r");

	if (!f)
		off(MODULES);
	while (fgets(line, sizeof(line), f)) {
		int fd;

		line[strcspn(line, "\n")] = 0;
		fd = open(line, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			off("%s", line);
		/* Some find that the machine has not what they drive: no reason to stop. */
		if (syscall(SYS_finit_module, fd, "", 0))
			printf("init: %s: %s\n", line, strerror(errno));
		close(fd);
	}
	fclose(f);
}

/* The value of a word NAME=VALUE on the kernel's command line. */
static const char *boot_word(const char *name)
{
	static char line[4 * LINE];
	size_t n = strlen(name);
	FILE *f = fopen("/proc/cmdline", "r");

	if (!f || !fgets(line, sizeof(line), f))
		off("/proc/cmdline");
	fclose(f);
	for (char *w = strtok(line, " \n"); w; w = strtok(NULL, " \n"))
		if (strncmp(w, name, n) == 0 && w[n] == '=')
			return w + n + 1;
	errno = ENOENT;
	off("word %s", name);
	return NULL;
}

static void make_dirs(const char *path)
{
	char part[LINE];

	for (const char *p = path; *p; p++) {
		if (*p != '/' || p == path)
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		mkdir(part, 0755);
	}
}

static void mount_root(const char *work)
{
	char at[LINE];

	mount_at("host", "9p", host_options, "/lower");
	mount_at("tmpfs", "tmpfs", "", "/over");
	mkdir("/over/upper", 0755);
	mkdir("/over/work", 0755);
	mount_at("overlay", "overlay", "lowerdir=/lower,upperdir=/over/upper,workdir=/over/work",
		 ROOT);
	mount_at("proc", "proc", "", ROOT "/proc");
	mount_at("sysfs", "sysfs", "", ROOT "/sys");
	mount_at("devtmpfs", "devtmpfs", "", ROOT "/dev");
	mount_at("tmpfs", "tmpfs", "", ROOT "/dev/shm");
	mount_at("devpts", "devpts", "", ROOT "/dev/pts");
	mount_at("tmpfs", "tmpfs", "", ROOT "/tmp");
	mount_at("tmpfs", "tmpfs", "", ROOT "/run");
	snprintf(at, sizeof(at), ROOT "%s", work);
	make_dirs(at);
	mount_at("work", "9p", work_options, at);
}

static FILE *open_control(void)
{
	struct termios raw;
	int fd = open(CONTROL, O_RDWR | O_NOCTTY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f || tcgetattr(fd, &raw))
		off(CONTROL);
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	setvbuf(f, NULL, _IONBF, 0);
	return f;
}

static void child(const char *script)
{
	char out[LINE + 8];
	int fd;

	setsid();
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &(sigset_t){0}, NULL);
	if (chroot(ROOT) || chdir("/"))
		_exit(126);
	snprintf(out, sizeof(out), "%s.out", script);
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(fd, 1);
	dup2(fd, 2);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/tmp", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	execl("/bin/bash", "bash", script, NULL);
	_exit(127);
}

static void drop_others(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* The script's status as a shell would say it. */
static int run(const char *script, long seconds)
{
	struct timespec now, end;
	sigset_t chld;
	int status = 0;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	pid = fork();
	if (pid == 0)
		child(script);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct timespec tick = {.tv_nsec = 100000000};

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end.tv_sec) {
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		sigtimedwait(&chld, NULL, &tick);
	}
	kill(-pid, SIGKILL); /* what it left behind */
	drop_others();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void serve(FILE *control)
{
	char line[LINE], script[LINE];
	unsigned number;
	long seconds;

	dprintf(fileno(control), "ready\n");
	while (fgets(line, sizeof(line), control)) {
		if (sscanf(line, "run %u %ld %1000s", &number, &seconds, script) != 3)
			off("not understood: %s", line);
		dprintf(fileno(control), "done %u %d\n", number, run(script, seconds));
	}
	off(CONTROL);
}

int main(void)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sethostname("guest", 5); /* launchers want one */
	mount_at("proc", "proc", "", "/proc");
	mount_at("devtmpfs", "devtmpfs", "", "/dev");
	signal(SIGALRM, on_alarm);
	alarm((unsigned)atoi(boot_word("c4.life")));
	load_modules();
	mount_root(boot_word("c4.work"));
	serve(open_control());
}
