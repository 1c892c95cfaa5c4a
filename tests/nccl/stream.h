/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - streams of profiler events as text: the language, and reading it.
 *
 * One statement per line, words parted by blanks, "quoted text" is one word, # begins a comment.
 * EXPR is an expression of expr.h (no blanks); its names are variables, constants (kinds of
 * operation as in c4/op.h: ALLREDUCE …; phases of connections: IDLE, SENDING …; LIVE, DEAD) and now
 * microseconds since the origin         at       time of the event being built rank, nranks   of
 * this process (RANK, WORLD_SIZE)   pid, api (version of the plugin in use) mask      the event
 * mask                        warnings  the plugin has logged outside   1 in a forked child
 *
 * Events: [@EXPR] THREAD VERB …      called in the thread of that name (made when first named)
 *     THREAD init COMM [hash= name= nodes= nranks= rank= anonymous=1]
 *     THREAD finalize COMM
 *     THREAD start TYPE HANDLE [ctx=COMM parent=HANDLE group=HANDLE KEY=…]
 *     THREAD stop HANDLE
 *     THREAD record HANDLE STATE [bytes= ptimer= gtimer= appended= data= steps= none=1]
 *   As NCCL does, start asks the mask first (that of the API call that is its ancestor), leaves out
 *   what the version does not know, and stop and record leave out what has no handle. start!, stop!
 *   and record! call whatever happens. TYPE and STATE: event.c's tables, or a number.
 *   @EXPR: not before that many microseconds since the origin (in a timeline: since its base).
 *   HANDLE, COMM: NAME or NAME[EXPR,…], NULL, or bad (an address that must not be touched).
 *   ctx is the last communicator made if it is not given. ptimer= is in microseconds since the
 *   origin and becomes a GPU time; gtimer= is a GPU time as recorded.
 *
 * Control:
 *     let NAME EXPR                    repeat NAME FROM TO … end     (NAME = FROM … TO-1)
 *     default NAME EXPR                as let, if there is no such variable yet (--set)
 *     if EXPR … [else …] end           macro NAME [PARAM[=EXPR]…] … end, then: do NAME
 * [PARAM=EXPR…] timeline EXPR … end              the events within are carried out in order of
 * their times parallel … end                   each thread goes on by itself; waits for all at the
 * end. No thread may use a handle another one starts in there fork … end                       the
 * events within happen in a child, which must end well sleep EXPR microseconds gpu [offset=NS]
 * [drift=PPM] [raw=NS at=US]   GPU clock; raw: recorded time at US setenv NAME VALUE before the
 * first init: the plugin is loaded then mask EXPR                        somebody else sets the
 * event mask detail EXPR                      as the agent: transport steps for so many
 * microseconds check EXPR                       must not be 0 expect TABLE [FIELD=V…] [FIELD==V…]
 * see expect.h skip-unless EXPR WHY             ends with status 77 include FILE relative to this
 * one exit                             now, without finalizing anything
 */
#ifndef C4_TESTS_NCCL_STREAM_H
#define C4_TESTS_NCCL_STREAM_H

#define STREAM_WORDS 40

struct stmt {
	const char *file;
	int line;
	int words;
	int end;       /* of a block: index of its end */
	int otherwise; /* of an if: index of its else, 0: none */
	char *word[STREAM_WORDS];
};

struct stream {
	struct stmt *stmts;
	int count, room;
};

/* Reads a file and what it includes; says what is wrong and exits with status 2. */
void stream_read(struct stream *s, const char *path);

/* Says where and what, and exits with status 1: a stream that fails is a failed test. */
_Noreturn void stream_fail(const struct stmt *at, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
