/* test_siege.c - what clients and workers may send that no sound one would, to real processes: the
 * API over TLS, the serving door and the link. Each attack ends with a refusal or a closed
 * connection, others are served meanwhile and after, memory stays bounded and no descriptor is left
 * behind. */
#include "common/defs.h"
#include "tests/support/raw.h"
#include "tests/support/story.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
	ANSWER = 16 * 1024,
	PATIENCE_MS = 20000,
	GROWTH_MAX = 96 * 1024 * 1024,
	LOT = 512,
	FILES_MIN = 4096
};

struct door {
	const char *name;
	struct raw_to to;
	enum part part;
};

struct siege {
	struct system *system;
	struct door doors[2]; /* the API's over TLS, the worker's */
	int files[2];         /* open before */
	int64_t memory[2];
};

static struct siege begin(void)
{
	static const struct system_options options = {.tls = true};
	struct siege siege = {.system = story_start(&options)};
	struct system *system = siege.system;
	siege.doors[0] = (struct door){
		"the API", {.port = system_port(system, PORT_API), .tls = true}, PART_CONTROL};
	siege.doors[1] = (struct door){
		"the serving door", {.port = system_port(system, PORT_SERVING)}, PART_WORKER};
	story_run(system, "probe", "{}");
	for (int i = 0; i < 2; i++) {
		siege.files[i] = raw_files(system_pid(system, siege.doors[i].part));
		siege.memory[i] = raw_memory(system_pid(system, siege.doors[i].part));
	}
	return siege;
}

static bool healthy(const struct raw_to *to)
{
	char answer[ANSWER];
	struct raw *raw = raw_dial(to);
	bool well = raw && raw_says(raw, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n") &&
	            strncmp(raw_answer(raw, answer, sizeof answer, PATIENCE_MS), "HTTP/1.1 200",
	                    12) == 0;
	raw_close(raw);
	return well;
}

/* Of what clients opened nothing is left: some spare for what the process itself may have opened.
 */
static bool let_go(void *context)
{
	struct siege *siege = context;
	for (int i = 0; i < 2; i++)
		if (raw_files(system_pid(siege->system, siege->doors[i].part)) >
		    siege->files[i] + 8)
			return false;
	return true;
}

static void end(struct siege *siege)
{
	for (int i = 0; i < 2; i++)
		cr_expect(healthy(&siege->doors[i].to), "%s is no longer served",
		          siege->doors[i].name);
	cr_expect(wait_until(let_go, siege, PATIENCE_MS),
	          "descriptors are left: %d, were %d; %d, "
	          "were %d",
	          raw_files(system_pid(siege->system, PART_CONTROL)), siege->files[0],
	          raw_files(system_pid(siege->system, PART_WORKER)), siege->files[1]);
	for (int i = 0; i < 2; i++) {
		int64_t now = raw_memory(system_pid(siege->system, siege->doors[i].part));
		cr_expect_lt(now - siege->memory[i], GROWTH_MAX, "%s has grown by %lld bytes",
		             siege->doors[i].name, (long long)(now - siege->memory[i]));
	}
	story_run(siege->system, "probe", "{}");
	system_stop(siege->system);
}

/* --- HTTP --- */

#define HEAD " HTTP/1.1\r\nHost: h\r\n"

struct attack {
	const char *name;
	const char *start; /* said once, */
	const char *again; /* then this, so often, */
	int times;
	const char *stop; /* then this */
};

static const struct attack attacks[] = {
	{"two lengths",
         "POST /a" HEAD "Content-Length: 0\r\nContent-Length: 30\r\n\r\n"
         "GET /healthz" HEAD "\r\n",
         "", 0, ""},
	{"length and chunks",
         "POST /a" HEAD "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"
         "\r\n0\r\n\r\nGET /healthz" HEAD "\r\n",
         "", 0, ""},
	{"chunks and length",
         "POST /a" HEAD "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"
         "\r\n0\r\n\r\nGET /healthz" HEAD "\r\n",
         "", 0, ""},
	{"a hidden coding", "POST /a" HEAD "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "", 0,
         ""},
	{"two codings", "POST /a" HEAD "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "",
         0, ""},
	{"a blank before the colon",
         "POST /a" HEAD "Content-Length : 30\r\n\r\n"
         "GET /healthz" HEAD "\r\n",
         "", 0, ""},
	{"a negative length", "POST /a" HEAD "Content-Length: -1\r\n\r\n", "", 0, ""},
	{"a length of 2^80", "POST /a" HEAD "Content-Length: 1208925819614629174706176\r\n\r\n", "",
         0, ""},
	{"a body over the limit", "POST /a" HEAD "Content-Length: 99000000\r\n\r\n",
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 200000, ""},
	{"chunks without an end", "POST /a" HEAD "Transfer-Encoding: chunked\r\n\r\n",
         "40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n", 200000, ""},
	{"a chunk of 2^68",
         "POST /a" HEAD "Transfer-Encoding: chunked\r\n\r\n"
         "100000000000000000\r\n",
         "", 0, ""},
	{"a negative chunk", "POST /a" HEAD "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "", 0, ""},
	{"an endless chunk extension", "POST /a" HEAD "Transfer-Encoding: chunked\r\n\r\n1;", "x",
         200000, ""},
	{"headers without an end", "GET /a" HEAD, "X-A: b\r\n", 200000, "\r\n"},
	{"a header without an end", "GET /a" HEAD "X-A: ", "0123456789abcdef", 100000, "\r\n\r\n"},
	{"a target without an end", "GET /", "0123456789abcdef", 100000, HEAD "\r\n"},
	{"a method without an end", "", "GETGETGETGETGET", 100000, " /" HEAD "\r\n"},
	{"a second Host", "GET /healthz" HEAD "Host: other\r\n\r\n", "", 0, ""},
	{"no Host", "GET /healthz HTTP/1.1\r\n\r\n", "", 0, ""},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", 0, ""},
	{"HTTP/0.9", "GET /healthz\r\n\r\n", "", 0, ""},
	{"a proxy's target", "GET http://example.com/healthz" HEAD "\r\n", "", 0, ""},
	{"CONNECT", "CONNECT example.com:443" HEAD "\r\n", "", 0, ""},
	{"TRACE", "TRACE /healthz" HEAD "Authorization: Bearer marker\r\n\r\n", "", 0, ""},
	{"an unknown method", "BREW /healthz" HEAD "\r\n", "", 0, ""},
	{"no UTF-8 in the path", "GET /%ff%fe" HEAD "\r\n", "", 0, ""},
	{"a NUL in the path", "GET /healthz%00.txt" HEAD "\r\n", "", 0, ""},
	{"a path upwards", "GET /v1/%2e%2e/healthz" HEAD "\r\n", "", 0, ""},
	{"an escaped slash", "GET /v1%2ftenants" HEAD "\r\n", "", 0, ""},
	{"escaped twice", "GET /%2568ealthz" HEAD "\r\n", "", 0, ""},
	{"garbage", "\x16\x03\x01\x02\x01\xff\xfe\r\n\r\n", "\xff\x80", 1000, "\r\n\r\n"},
	{"lines without an end", "", "\r\n", 200000, ""},
};

/* Statuses of all answers that came, as "400 " or "404 200 ". */
static void statuses(const char *text, char out[64])
{
	size_t len = 0;
	out[0] = 0;
	for (const char *at = text; (at = strstr(at, "HTTP/1.1 ")) && len + 5 < 64; at += 9)
		len += (size_t)snprintf(out + len, 64 - len, "%.3s ", at + 9);
}

static void try_attack(const struct door *door, const struct attack *attack)
{
	char heard[ANSWER], said[64];
	struct raw *raw = raw_dial(&door->to);
	cr_assert_not_null(raw, "%s: %s: no connection", door->name, attack->name);
	size_t len = strlen(attack->again), block = len ? ANSWER / len : 1;
	char *many = malloc(ANSWER + 1);
	many[0] = 0;
	for (size_t i = 0; i < block && len; i++)
		memcpy(many + i * len, attack->again, len + 1);
	bool open = raw_says(raw, attack->start);
	for (int i = 0; open && i < attack->times; i += (int)block)
		open = raw_says(raw, many);
	if (open)
		raw_says(raw, attack->stop);
	free(many);
	raw_hear(raw, heard, sizeof heard, 80);
	statuses(heard, said);
	cr_expect(!strstr(said, "2") || strcmp(said, "404 ") == 0 || strstr(said, "412"),
	          "%s: %s: %s", door->name, attack->name, said);
	cr_expect_null(strstr(heard, "marker"), "%s: %s: it is told back", door->name,
	               attack->name);
	raw_close(raw);
	cr_expect(healthy(&door->to), "%s: not served after %s", door->name, attack->name);
}

Test(siege, no_hostile_request_is_served_or_keeps_others_from_being_served)
{
	struct siege siege = begin();
	for (size_t i = 0; i < ARRAY_LEN(attacks); i++)
		for (size_t j = 0; j < ARRAY_LEN(siege.doors); j++)
			try_attack(&siege.doors[j], &attacks[i]);
	end(&siege);
}

/* --- bodies --- */

static const char *deep(struct system *system, const char *open, int times)
{
	size_t len = strlen(open);
	char *text = arena_alloc(system_arena(system), len * (size_t)times + 1);
	for (int i = 0; i < times; i++)
		memcpy(text + len * (size_t)i, open, len + 1);
	return text;
}

static const char bomb[] = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
			   "c: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\n"
			   "e: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n"
			   "g: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g]\n";

Test(siege, hostile_bodies_are_refused)
{
	struct siege siege = begin();
	struct system *system = siege.system;
	const char *const bodies[] = {
		deep(system, "[", 200000),
		deep(system, "{\"a\":", 100000),
		"{\"a\":1e999999}",
		"{\"a\":123456789012345678901234567890}",
		"{\"a\":\"\xff\xfe\"}",
		"{\"a\":\"\\ud800\"}",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\\u0000\"}",
		"[1,2",
		"nul",
		"\xef\xbb\xbf{}",
		bomb,
	};
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct answer answer =
			system_call_with(system, PORT_API, story_key(system, "ada"),
		                         bodies[i] == bomb ? "Content-Type: application/yaml"
		                                           : "Content-Type: application/json",
		                         "PUT", SALES "/datasets/d", bodies[i]);
		cr_expect(answer.status == 400 || answer.status == 413, "%zu: %d %s", i,
		          answer.status, answer.text);
		answer = system_call_with(system, PORT_SERVING, story_key(system, "ada"), NULL,
		                          "POST", "/get-online-features", bodies[i]);
		cr_expect(answer.status == 400 || answer.status == 413, "serving %zu: %d %s", i,
		          answer.status, answer.text);
	}
	struct ran ran = story_try_apply(system, "ada", bomb);
	cr_expect_eq(ran.code, 1, "%d: %s", ran.code, ran.out);
	ran = story_try_apply(system, "ada", deep(system, "[", 50000));
	cr_expect_eq(ran.code, 1, "%d: %s", ran.code, ran.out);
	end(&siege);
}

/* --- floods --- */

/* So many from one address that some are turned away; they stay. */
static void flood(const struct raw_to *to, int from, struct raw *lot[LOT])
{
	struct raw_to one = *to;
	one.from = from;
	one.tls = false; /* they never say a word, not even of TLS */
	for (int i = 0; i < LOT; i++)
		lot[i] = raw_dial(&one);
}

Test(siege, idle_connections_by_the_thousand_keep_nobody_out)
{
	struct rlimit files;
	struct raw *lots[4][LOT];
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < FILES_MIN)
		cr_skip("no thousands of connections here: the limit of open files is %lu",
		        (unsigned long)files.rlim_max);
	files.rlim_cur = files.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	struct siege siege = begin();
	for (int i = 0; i < 2; i++) {
		flood(&siege.doors[i].to, 11, lots[2 * i]);
		flood(&siege.doors[i].to, 12, lots[2 * i + 1]);
	}
	for (int i = 0; i < 2; i++) {
		struct raw_to other = siege.doors[i].to;
		other.from = 13;
		cr_expect(healthy(&other), "%s serves nobody else", siege.doors[i].name);
		other.from = 11;
		cr_expect(!healthy(&other), "%s: one address has no bound", siege.doors[i].name);
	}
	story_run(siege.system, "probe", "{}");
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < LOT; j++)
			raw_close(lots[i][j]);
	end(&siege);
}

/* --- the link --- */

static const uint8_t greeting[] = {0, 'S', 'P', 0, 0, 0x30, 0, 0}; /* a requester's */

struct frame {
	const char *name;
	uint8_t length[8];
	const char *body;
	size_t len;
};

#define BODY(text) text, sizeof text - 1
static const struct frame frames[] = {
	{"a length of 2^62", {0x40}, BODY("\x80\0\0\1")},
	{"a length just over the limit", {0, 0, 0, 0, 0x10}, BODY("\x80\0\0\1")},
	{"a message that breaks off", {0, 0, 0, 0, 0, 0, 1, 0}, BODY("\x80\0\0\1")},
	{"an empty message", {0}, BODY("")},
	{"no request id", {0, 0, 0, 0, 0, 0, 0, 4}, BODY("\0\0\0\1")},
	{"garbage", {0, 0, 0, 0, 0, 0, 0, 12}, BODY("\x80\0\0\1\xc1\xff\xff\xff\xff\xff\xff\xff")},
	{"a map of 2^32 members", {0, 0, 0, 0, 0, 0, 0, 9}, BODY("\x80\0\0\1\xdf\xff\xff\xff\xff")},
	{"a text of 2^32 bytes", {0, 0, 0, 0, 0, 0, 0, 9}, BODY("\x80\0\0\2\xdb\xff\xff\xff\xff")},
	{"lists in lists",
         {0, 0, 0, 0, 0, 0, 0, 36},
         BODY("\x80\0\0\3\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
              "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91")},
};

static void try_link(struct siege *siege, const struct frame *frame, bool greets)
{
	struct system *system = siege->system;
	const struct raw_to to = {.port = system_port(system, PORT_LINK),
	                          .tls = true,
	                          .cert = system_path(system, "keys/worker-2.pem"),
	                          .key = system_path(system, "keys/worker-2.key")};
	char heard[256];
	struct raw *raw = raw_dial(&to);
	cr_assert_not_null(raw, "%s: no connection", frame->name);
	if (greets)
		raw_say(raw, greeting, sizeof greeting);
	raw_say(raw, frame->length, sizeof frame->length);
	raw_say(raw, frame->body, frame->len);
	raw_hear(raw, heard, sizeof heard, 100);
	raw_close(raw);
}

static void flood_link(struct siege *siege)
{
	struct raw_to to = {.port = system_port(siege->system, PORT_LINK)};
	struct raw *lot[LOT];
	flood(&to, 0, lot);
	for (int i = 0; i < LOT; i++)
		if (lot[i])
			raw_says(lot[i], i % 2 ? "GET / HTTP/1.1\r\n\r\n" : "\x16\x03\x01\xff\xff");
	story_run(siege->system, "probe", "{}");
	for (int i = 0; i < LOT; i++)
		raw_close(lot[i]);
}

Test(siege, hostile_messages_and_floods_on_the_link_disturb_no_worker)
{
	struct siege siege = begin();
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		try_link(&siege, &frames[i], true);
		try_link(&siege, &frames[i], false);
	}
	story_run(siege.system, "probe", "{}");
	flood_link(&siege);
	end(&siege);
}
