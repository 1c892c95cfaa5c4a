// SPDX-License-Identifier: BSD-3-Clause
/*
 * GPUs and network interfaces of a node: when they are read and told; and the whole agent with a
 * driver that answers, or never does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <time.h>

#include <cmocka.h>

#include "agent/daemon/agent.h"
#include "agent/daemon/devices.h"
#include "agent/daemon/post.h"
#include "c4.pb-c.h"
#include "common/base/clock.h"
#include "common/log.h"
#include "tests/unit/agent_rank.h"
#include "tests/unit/agent_sink.h"
#include "tests/unit/fake/fake.h"
#include "tests/unit/fake/sysfs.h"

#define S(x)	 ((uint64_t)(x)*1000000000)
#define PATIENCE 15 /* seconds until a test gives up */

static char dir[64];
static struct fake_nvml *fake;

/* ---- reading and telling -------------------------------------------------------------------- */

static uv_loop_t loop;
static struct c4_devices devices;
static struct c4_post_writer *writer;
static int idles;

static void on_idle(void *arg)
{
	(void)arg;
	idles++;
}

static int make_node(void)
{
	snprintf(dir, sizeof dir, "/tmp/c4-devices.XXXXXX");
	fake = fake_nvml_load(FAKE_NVML);
	if (!fake || !mkdtemp(dir))
		return -1;
	sysfs_put(dir, "class/net/eth0/device/vendor", "0x15b3");
	sysfs_put(dir, "class/net/eth0/operstate", "up");
	sysfs_put(dir, "class/net/eth0/statistics/tx_bytes", "1000");
	return 0;
}

static int setup(void **state)
{
	struct c4_devices_config config = {.nics = {dir, false}, .idle = on_idle};

	(void)state;
	if (make_node())
		return -1;
	config.nvml = fake_path(FAKE_NVML);
	idles = 0;
	uv_loop_init(&loop);
	writer = c4_post_writer_new();
	return !writer || c4_devices_init(&devices, &loop, &config);
}

static int teardown(void **state)
{
	(void)state;
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	c4_devices_release(&devices);
	c4_post_writer_free(writer);
	return sysfs_remove(dir);
}

/* One tick and what comes of it. Returns how many readings ended. */
static int read_at(uint64_t now_ns)
{
	int before = idles;

	c4_devices_tick(&devices, now_ns);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_false(c4_devices_busy(&devices));
	return idles - before;
}

/* What a post made at this instant says of devices. */
static C4__V1__Post *post_at(uint64_t now_ns)
{
	struct c4_post_head head = {.agent = "n1"};
	C4__V1__Post *p;
	uint8_t *data;
	size_t len;

	c4_post_begin(writer);
	c4_post_add_devices(writer, &devices, now_ns);
	data = c4_post_finish(writer, &head, 16, &len);
	assert_non_null(data);
	p = c4__v1__post__unpack(NULL, len, data);
	free(data);
	assert_non_null(p);
	return p;
}

static void check_told(uint64_t now_ns, size_t ngpus, size_t nnics)
{
	C4__V1__Post *p = post_at(now_ns);

	assert_int_equal(p->n_gpus, ngpus);
	assert_int_equal(p->n_nics, nnics);
	c4__v1__post__free_unpacked(p, NULL);
}

static void test_messages(void **state)
{
	uint64_t now = c4_mono_ns();
	C4__V1__Post *p;

	(void)state;
	fake->ecc = 7;
	fake->events[0] = 79;
	fake->nevents = 1;
	assert_int_equal(read_at(now), 2);
	p = post_at(c4_mono_ns() + S(2));
	assert_int_equal(p->n_gpus, FAKE_GPUS);
	assert_string_equal(p->gpus[1]->bus, "0000:3c:00.0");
	assert_string_equal(p->gpus[1]->name, "Fake GPU 1");
	assert_int_equal(p->gpus[1]->index, 1);
	assert_int_equal(p->gpus[0]->sm_mhz, 1500);
	assert_int_equal(p->gpus[0]->sm_max_mhz, 1980);
	assert_int_equal(p->gpus[0]->ecc_volatile_uncorrected, 7);
	assert_int_equal(p->gpus[0]->last_xid_age_ns, 0);
	assert_int_equal(p->gpus[1]->xids, 1);
	assert_int_equal(p->gpus[1]->last_xid, 79);
	assert_true(p->gpus[1]->last_xid_age_ns >= S(2));
	assert_int_equal(p->n_nics, 1);
	assert_string_equal(p->nics[0]->name, "eth0");
	assert_true(p->nics[0]->up);
	assert_int_equal(p->nics[0]->tx_bytes, 1000);
	c4__v1__post__free_unpacked(p, NULL);
}

/* Read every 5 s, told when changed, or every 30 s, or when the collector knows nothing. */
static void test_cadence(void **state)
{
	(void)state;
	check_told(S(1), 0, 0);
	assert_int_equal(read_at(S(1)), 2);
	check_told(S(1), FAKE_GPUS, 1);
	check_told(S(2), 0, 0);
	assert_int_equal(read_at(S(5)), 0); /* too early */
	assert_int_equal(read_at(S(6)), 2);
	check_told(S(6), 0, 0); /* as before */
	sysfs_put(dir, "class/net/eth0/statistics/tx_bytes", "2000");
	assert_int_equal(read_at(S(11)), 2);
	check_told(S(11), 0, 1);
	fake->mhz = 210;
	assert_int_equal(read_at(S(16)), 2);
	check_told(S(16), FAKE_GPUS, 0);
	check_told(S(41), 0, 1);
	check_told(S(46), FAKE_GPUS, 0);
	c4_devices_forget_told(&devices);
	check_told(S(47), FAKE_GPUS, 1);
}

/* An interface comes, and the places in the list move. */
static void test_hotplug(void **state)
{
	(void)state;
	read_at(S(1));
	check_told(S(1), FAKE_GPUS, 1);
	sysfs_put(dir, "class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE");
	read_at(S(6));
	check_told(S(6), 0, 2);
	sysfs_remove(dir);
	read_at(S(11));
	check_told(S(50), FAKE_GPUS, 0);
}

/* ---- the whole agent ------------------------------------------------------------------------ */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int posts, gpus, nics;
	bool last;
} heard = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct sink sink;
static pid_t agent;
static char runtime[80];
static struct rank rank;

/* Always wants detail. */
static int take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		size_t *answer_len)
{
	C4__V1__Post *post = c4__v1__post__unpack(NULL, len, body);
	C4__V1__Answer reply = C4__V1__ANSWER__INIT;

	(void)arg;
	if (!post)
		return 400;
	pthread_mutex_lock(&heard.mutex);
	heard.posts++;
	heard.gpus += (int)post->n_gpus;
	heard.nics += (int)post->n_nics;
	heard.last |= post->last;
	pthread_cond_broadcast(&heard.changed);
	pthread_mutex_unlock(&heard.mutex);
	c4__v1__post__free_unpacked(post, NULL);
	reply.detail = true;
	*answer_len = c4__v1__answer__pack(&reply, answer);
	return 200;
}

/* Waits until a condition over `heard` holds; posts wake it. */
#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		struct timespec until;                                                             \
		int rc = 0;                                                                        \
                                                                                                   \
		clock_gettime(CLOCK_REALTIME, &until);                                             \
		until.tv_sec += PATIENCE;                                                          \
		pthread_mutex_lock(&heard.mutex);                                                  \
		while (!rc && !(condition))                                                        \
			rc = pthread_cond_timedwait(&heard.changed, &heard.mutex, &until);         \
		pthread_mutex_unlock(&heard.mutex);                                                \
		if (rc)                                                                            \
			fail_msg("never: %s", #condition);                                         \
	} while (0)

static int setup_agent(void **state)
{
	struct c4_seg_want want = {.hook = "nccl", .conns = true};

	(void)state;
	if (make_node())
		return -1;
	snprintf(runtime, sizeof runtime, "%s/run", dir);
	if (mkdir(runtime, 0700))
		return -1;
	heard.posts = heard.gpus = heard.nics = 0;
	heard.last = false;
	rank_start_hooks(&rank, runtime, 0, "n1", &want, 1);
	c4_seg_publish(&rank.seg);
	return !sink_start(&sink, 0, take, NULL);
}

static int teardown_agent(void **state)
{
	(void)state;
	if (agent > 0) {
		kill(agent, SIGKILL);
		waitpid(agent, NULL, 0);
	}
	sink_stop(&sink);
	rank_release(&rank);
	return sysfs_remove(dir);
}

static void start_agent(void)
{
	struct c4_agent_options o = {.collector = sink.address,
				     .runtime_dir = runtime,
				     .node = "n1",
				     .interval_ms = 50,
				     .ready_fd = -1,
				     .nvml = fake_path(FAKE_NVML),
				     .sysfs = dir};

	agent = fork();
	if (agent == 0)
		_exit(c4_agent_run(&o));
}

/* It ends by itself with status 0, its last post delivered. */
static void check_end(void)
{
	int status;

	kill(agent, SIGTERM);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	agent = 0;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(heard.last);
}

static void test_agent_tells(void **state)
{
	(void)state;
	start_agent();
	AWAIT(heard.gpus == FAKE_GPUS && heard.nics == 1);
	heard.posts = 0;
	AWAIT(heard.posts > 5);
	assert_int_equal(heard.gpus, FAKE_GPUS); /* nothing has changed */
	check_end();
}

static uint64_t wanted_until(void)
{
	return __atomic_load_n(&rank.seg.hdr->detail_until, __ATOMIC_RELAXED);
}

/* Each answer wants transport steps: the process is told so, again and again. */
static void test_agent_asks_detail(void **state)
{
	uint64_t first;

	(void)state;
	start_agent();
	AWAIT(wanted_until() != 0);
	first = wanted_until();
	assert_true(first > c4_ticks(rank.seg.hdr->clock));
	AWAIT(wanted_until() > first);
	check_end();
}

/* The driver never answers: everything else goes on, and the agent still ends. */
static void test_agent_wedged(void **state)
{
	(void)state;
	fake->wedged = 1;
	start_agent();
	AWAIT(heard.nics == 1 && heard.posts > 20);
	assert_int_equal(heard.gpus, 0);
	check_end();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define A(name) cmocka_unit_test_setup_teardown(name, setup_agent, teardown_agent)

int main(void)
{
	const struct CMUnitTest tests[] = {
		A(test_agent_tells), A(test_agent_asks_detail), A(test_agent_wedged),
		T(test_messages),    T(test_cadence),		T(test_hotplug),
	};

	c4_log_init("test_agent_devices");
	c4_log_set_level(C4_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
