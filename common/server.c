// SPDX-License-Identifier: BSD-3-Clause
#include "common/server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTION_MEMORY 16384u /* headers of one request */
#define STREAM_BLOCK	  16384u

struct c4_server {
	struct MHD_Daemon *mhd;
	struct c4_server_calls calls;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned int closing; /* handles not yet closed */
	size_t held;	      /* bytes of unfinished bodies */
};

/* One request while its body comes in. */
struct exchange {
	struct c4_server *server;
	struct c4_buf body;
	bool refused;
	enum c4_server_refusal why;
};

/* ---- answering ------------------------------------------------------------------------------- */

/* A streamed body: what was made and not yet sent. */
struct sending {
	struct c4_stream *stream;
	struct c4_buf buf;
	size_t sent;
};

static ssize_t on_send(void *arg, uint64_t pos, char *out, size_t max)
{
	struct sending *s = arg;
	size_t n;

	(void)pos; /* only ever read in order */
	if (s->sent == s->buf.len) {
		s->sent = s->buf.len = 0;
		if (!s->stream->next(s->stream, &s->buf))
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	if (s->buf.failed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	n = s->buf.len - s->sent < max ? s->buf.len - s->sent : max;
	memcpy(out, s->buf.data + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

static void on_sent(void *arg)
{
	struct sending *s = arg;

	s->stream->free(s->stream);
	c4_buf_release(&s->buf);
	free(s);
}

static struct MHD_Response *from_stream(struct c4_stream *stream)
{
	struct sending *s = calloc(1, sizeof *s);
	struct MHD_Response *m = NULL;

	if (s) {
		s->stream = stream;
		m = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_send, s,
						      on_sent);
	}
	if (!m) {
		stream->free(stream);
		free(s);
	}
	return m;
}

static struct MHD_Response *from_body(struct c4_buf *body)
{
	size_t n = body->len;
	char *data = c4_buf_take(body);
	struct MHD_Response *m;

	if (!data) /* empty, or no memory for it */
		return MHD_create_response_from_buffer(0, (char *)"", MHD_RESPMEM_PERSISTENT);
	m = MHD_create_response_from_buffer(n, data, MHD_RESPMEM_MUST_FREE);
	if (!m)
		free(data);
	return m;
}

static enum MHD_Result send_response(struct MHD_Connection *conn, struct c4_response *r)
{
	unsigned int status = r->body.failed ? 500 : (unsigned int)r->status;
	struct MHD_Response *m = r->stream ? from_stream(r->stream) : from_body(&r->body);
	enum MHD_Result rc;

	if (!m)
		return MHD_NO;
	MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->type ? r->type : "text/plain");
	MHD_add_response_header(m, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (r->allow)
		MHD_add_response_header(m, MHD_HTTP_HEADER_ALLOW, r->allow);
	rc = MHD_queue_response(conn, status, m);
	MHD_destroy_response(m);
	return rc;
}

static enum MHD_Result on_param(void *arg, enum MHD_ValueKind kind, const char *key,
				const char *value)
{
	struct c4_request *q = arg;

	(void)kind;
	if (q->nparams < C4_REQUEST_PARAMS)
		q->params[q->nparams++] = (struct c4_param){key, value ? value : ""};
	return MHD_YES;
}

static uint32_t peer_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (!i || !i->client_addr || i->client_addr->sa_family != AF_INET)
		return 0;
	return ntohl(((const struct sockaddr_in *)(const void *)i->client_addr)->sin_addr.s_addr);
}

static enum MHD_Result answer(struct exchange *x, struct MHD_Connection *conn, const char *path,
			      const char *method)
{
	const char *type =
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	struct c4_request q = {
		.method = method,
		.path = path,
		.type = type ? type : "",
		.body = x->body.data ? x->body.data : "",
		.bytes = x->body.len,
		.peer = peer_of(conn),
	};
	struct c4_response r = {.status = 500};

	MHD_get_connection_values(conn, MHD_GET_ARGUMENT_KIND, on_param, &q);
	x->server->calls.handle(x->server->calls.arg, &q, &r);
	return send_response(conn, &r);
}

static enum MHD_Result answer_refused(struct exchange *x, struct MHD_Connection *conn)
{
	struct c4_response r = {.status = 500};

	x->server->calls.refused(x->server->calls.arg, x->why, &r);
	return send_response(conn, &r);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void drop_body(struct exchange *x)
{
	x->server->held -= x->body.len;
	c4_buf_release(&x->body);
}

static void refuse(struct exchange *x, enum c4_server_refusal why)
{
	drop_body(x);
	x->refused = true;
	x->why = why;
}

static void take_body(struct exchange *x, const char *data, size_t n)
{
	if (x->refused)
		return;
	if (x->body.len + n > C4_SERVER_BODY_MAX) {
		refuse(x, C4_SERVER_TOO_LARGE);
		return;
	}
	if (x->server->held + n > C4_SERVER_HELD_MAX) {
		refuse(x, C4_SERVER_BUSY);
		return;
	}
	c4_buf_add(&x->body, data, n);
	if (x->body.failed)
		refuse(x, C4_SERVER_BUSY);
	else
		x->server->held += n;
}

/* The announced length alone may be reason to refuse, before any of it is read. */
static bool announced_too_large(struct MHD_Connection *conn)
{
	const char *length =
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length && strtoull(length, NULL, 10) > C4_SERVER_BODY_MAX;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *conn, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *n, void **state)
{
	struct exchange *x = *state;

	(void)version;
	if (!x) {
		x = calloc(1, sizeof *x);
		if (!x)
			return MHD_NO;
		x->server = arg;
		*state = x;
		if (!announced_too_large(conn))
			return MHD_YES;
		refuse(x, C4_SERVER_TOO_LARGE);
		return answer_refused(x, conn);
	}
	if (*n) {
		take_body(x, data, *n);
		*n = 0;
		return MHD_YES;
	}
	return x->refused ? answer_refused(x, conn) : answer(x, conn, path, method);
}

static void on_completed(void *arg, struct MHD_Connection *conn, void **state,
			 enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *state;

	(void)arg;
	(void)conn;
	(void)why;
	if (!x)
		return;
	drop_body(x);
	free(x);
	*state = NULL;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *t);

static void run(struct c4_server *s)
{
	MHD_UNSIGNED_LONG_LONG wait;

	MHD_run(s->mhd);
	if (MHD_get_timeout(s->mhd, &wait) == MHD_YES)
		uv_timer_start(&s->timer, on_timer, wait, 0);
	else
		uv_timer_stop(&s->timer);
}

static void on_timer(uv_timer_t *t)
{
	run(t->data);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
	(void)status;
	(void)events;
	run(p->data);
}

static struct MHD_Daemon *start_mhd(struct c4_server *s, int fd)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, C4_SERVER_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		C4_SERVER_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
}

struct c4_server *c4_server_start(uv_loop_t *loop, int fd, const struct c4_server_calls *calls)
{
	struct c4_server *s = calloc(1, sizeof *s);
	const union MHD_DaemonInfo *info;

	if (!s)
		return NULL;
	s->calls = *calls;
	s->mhd = start_mhd(s, fd);
	if (!s->mhd)
		goto free_server;
	info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || uv_poll_init(loop, &s->poll, info->epoll_fd))
		goto stop_mhd;
	uv_timer_init(loop, &s->timer);
	s->poll.data = s->timer.data = s;
	uv_poll_start(&s->poll, UV_READABLE, on_ready);
	return s;
stop_mhd:
	MHD_quiesce_daemon(s->mhd); /* the socket stays the caller's */
	MHD_stop_daemon(s->mhd);
free_server:
	free(s);
	return NULL;
}

static void on_closed(uv_handle_t *h)
{
	struct c4_server *s = h->data;

	if (--s->closing)
		return;
	MHD_stop_daemon(s->mhd);
	free(s);
}

void c4_server_stop(struct c4_server *s)
{
	if (!s)
		return;
	s->closing = 2;
	uv_close((uv_handle_t *)&s->poll, on_closed);
	uv_close((uv_handle_t *)&s->timer, on_closed);
}
