// SPDX-License-Identifier: BSD-3-Clause
/* The HTTP server on a real socket: a client thread asks, the loop answers. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/listen.h"
#include "common/server.h"
#include "common/http.h"

struct fixture {
	uv_loop_t loop;
	uv_async_t done;
	struct c4_server *server;
	uint16_t port;
	char base[32];
	void (*client)(struct fixture *);
	const char *failure; /* of the client; NULL: none */
	unsigned int handled, too_large;
};

/* cmocka must not jump out of another thread. */
#define CHECK(f, cond)                                                                             \
	do {                                                                                       \
		if (!(cond) && !(f)->failure)                                                      \
			(f)->failure = #cond;                                                      \
	} while (0)

#define LONG_PARTS 5000
#define LONG_PART  700

struct long_answer {
	struct c4_stream stream;
	int parts;
};

static bool long_next(struct c4_stream *s, struct c4_buf *out)
{
	struct long_answer *l = (struct long_answer *)s;
	char part[LONG_PART];

	if (l->parts == LONG_PARTS)
		return false;
	memset(part, 'a' + l->parts++ % 26, sizeof part);
	c4_buf_add(out, part, sizeof part);
	return true;
}

static void long_free(struct c4_stream *s)
{
	free(s);
}

static struct c4_stream *long_new(void)
{
	struct long_answer *l = calloc(1, sizeof *l);

	l->stream = (struct c4_stream){long_next, long_free};
	return &l->stream;
}

/* Says what it was asked: "METHOD PATH key=value… bytes". */
static void handle(void *arg, const struct c4_request *q, struct c4_response *out)
{
	struct fixture *f = arg;

	f->handled++;
	out->status = 200;
	out->type = "text/plain";
	if (!strcmp(q->path, "/long")) {
		out->stream = long_new();
		return;
	}
	c4_buf_printf(&out->body, "%s %s", q->method, q->path);
	for (unsigned int i = 0; i < q->nparams; i++)
		c4_buf_printf(&out->body, " %s=%s", q->params[i].key, q->params[i].value);
	c4_buf_printf(&out->body, " %zu", q->bytes);
}

static void refused(void *arg, enum c4_server_refusal why, struct c4_response *out)
{
	struct fixture *f = arg;

	f->too_large += why == C4_SERVER_TOO_LARGE;
	out->status = 413;
}

static void on_done(uv_async_t *a)
{
	struct fixture *f = a->data;

	c4_server_stop(f->server);
	uv_close((uv_handle_t *)a, NULL);
}

static void *client(void *arg)
{
	struct fixture *f = arg;

	f->client(f);
	uv_async_send(&f->done);
	return NULL;
}

static void serve(void (*ask)(struct fixture *))
{
	struct fixture f = {.client = ask};
	const struct c4_server_calls calls = {handle, refused, &f};
	char err[128];
	pthread_t thread;
	int fd = c4_listen("127.0.0.1:0", &f.port, err, sizeof err);

	assert_true(fd >= 0);
	snprintf(f.base, sizeof f.base, "127.0.0.1:%u", f.port);
	uv_loop_init(&f.loop);
	f.done.data = &f;
	uv_async_init(&f.loop, &f.done, on_done);
	f.server = c4_server_start(&f.loop, fd, &calls);
	assert_non_null(f.server);
	assert_int_equal(pthread_create(&thread, NULL, client, &f), 0);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	pthread_join(thread, NULL);
	assert_int_equal(uv_loop_close(&f.loop), 0);
	if (f.failure)
		fail_msg("%s", f.failure);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void ask_plain(struct fixture *f)
{
	struct c4_http *h = c4_http_new(f->base, 5000);
	struct c4_buf b = {0};

	CHECK(f, c4_http_get(h, "/a/b?job=x%20y&state", &b) == 200);
	CHECK(f, !strcmp(c4_buf_str(&b), "GET /a/b job=x y state= 0"));
	c4_buf_release(&b);
	for (int i = 0; i < 300; i++) { /* one connection, kept alive */
		CHECK(f, c4_http_post(h, "/p", "text/plain", "12345", 5, &b) == 200);
		CHECK(f, !strcmp(c4_buf_str(&b), "POST /p 5"));
		c4_buf_release(&b);
	}
	CHECK(f, f->handled == 301);
	c4_http_free(h);
}

static void ask_too_much(struct fixture *f)
{
	size_t n = C4_SERVER_BODY_MAX;
	char *body = calloc(1, n + 1);
	struct c4_http *h = c4_http_new(f->base, 20000);
	struct c4_buf b = {0};

	CHECK(f, c4_http_post(h, "/p", "text/plain", body, n, &b) == 200);
	CHECK(f, !strcmp(c4_buf_str(&b), "POST /p 8388608"));
	c4_buf_release(&b);
	/* refused from its announced length, before it is read: an answer or a closed connection */
	c4_http_post(h, "/p", "text/plain", body, n + 1, &b);
	c4_buf_release(&b);
	CHECK(f, f->too_large == 1 && f->handled == 1);
	c4_http_free(h);
	free(body);
}

static int connect_to(const struct fixture *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&a, sizeof a) ? -1 : fd;
}

static bool send_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t m = send(fd, data, n, MSG_NOSIGNAL);

		if (m <= 0)
			return false;
		data += m;
		n -= (size_t)m;
	}
	return true;
}

/* Chunked: no length is announced, the limit is met while reading. */
static void ask_chunked(struct fixture *f)
{
	static const char head[] =
		"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
	static char chunk[8 + 0x10000 + 2] = "10000\r\n";
	char answer[16] = "";
	int fd = connect_to(f);

	memcpy(chunk + 7 + 0x10000, "\r\n", 2);
	CHECK(f, send_all(fd, head, sizeof head - 1));
	for (size_t sent = 0; sent <= C4_SERVER_BODY_MAX; sent += 0x10000)
		if (!send_all(fd, chunk, 7 + 0x10000 + 2))
			break;
	send_all(fd, "0\r\n\r\n", 5);
	CHECK(f, recv(fd, answer, 12, MSG_WAITALL) == 12);
	CHECK(f, !strncmp(answer, "HTTP/1.1 413", 12));
	CHECK(f, f->too_large == 1 && f->handled == 0);
	close(fd);
}

/* Half requests and nonsense on other connections do not keep the server from answering. */
static void ask_beside_bad_peers(struct fixture *f)
{
	static const char *const bad[] = {"GET / HT", "\xff\xfe\xfd\r\n\r\n", "",
					  "POST /p HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf"};
	struct c4_http *h = c4_http_new(f->base, 5000);
	int fds[200];

	for (int i = 0; i < 200; i++) {
		const char *text = bad[i % 4];

		fds[i] = connect_to(f);
		send_all(fds[i], text, strlen(text));
	}
	for (int i = 0; i < 50; i++) {
		struct c4_buf b = {0};

		CHECK(f, c4_http_get(h, "/x", &b) == 200);
		c4_buf_release(&b);
	}
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	c4_http_free(h);
}

static void ask_long(struct fixture *f)
{
	struct c4_http *h = c4_http_new(f->base, 10000);
	int fds[8];

	for (int i = 0; i < 8; i++) { /* these hang up in the middle of the answer */
		static const char ask[] = "GET /long HTTP/1.1\r\nHost: x\r\n\r\n";
		char some[100];

		fds[i] = connect_to(f);
		send_all(fds[i], ask, sizeof ask - 1);
		CHECK(f, recv(fds[i], some, sizeof some, 0) > 0);
		close(fds[i]);
	}
	for (int i = 0; i < 3; i++) {
		struct c4_buf b = {0};

		CHECK(f, c4_http_get(h, "/long", &b) == 200);
		CHECK(f, b.len == LONG_PARTS * LONG_PART);
		CHECK(f, b.data && b.data[LONG_PART * 27] == 'b');
		c4_buf_release(&b);
	}
	c4_http_free(h);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_requests(void **state)
{
	(void)state;
	serve(ask_plain);
}

static void test_announced_too_large(void **state)
{
	(void)state;
	serve(ask_too_much);
}

static void test_chunked_too_large(void **state)
{
	(void)state;
	serve(ask_chunked);
}

static void test_streamed_answer(void **state)
{
	(void)state;
	serve(ask_long);
}

static void test_bad_peers(void **state)
{
	(void)state;
	serve(ask_beside_bad_peers);
}

static void test_where_to_listen(void **state)
{
	static const char *const bad[] = {"",
					  "7440",
					  "127.0.0.1",
					  "127.0.0.1:",
					  "127.0.0.1:x",
					  "127.0.0.1:65536",
					  "127.0.0.1:-1",
					  "no.such.host.invalid:0"};
	char err[256] = "", where[64];
	uint16_t port = 0;
	int fd, again;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(c4_listen(bad[i], &port, err, sizeof err), -1);
		assert_int_equal(port, 0);
	}
	fd = c4_listen("*:0", &port, err, sizeof err);
	assert_true(fd >= 0 && port);
	snprintf(where, sizeof where, "*:%u", port);
	again = c4_listen(where, &port, err, sizeof err);
	assert_int_equal(again, -1);
	assert_non_null(strstr(err, "in use"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_announced_too_large),
		cmocka_unit_test(test_chunked_too_large),
		cmocka_unit_test(test_streamed_answer),
		cmocka_unit_test(test_bad_peers),
		cmocka_unit_test(test_where_to_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
