/* SPDX-License-Identifier: Apache-2.0 */
#include "common/redis/redis.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "common/redis/reply.h"

/* struct redis_reply is hiredis' redisReply under a name of ours. */
static const redisReply *real(const struct redis_reply *r)
{
	return (const redisReply *)(const void *)r;
}

bool redis_is_error(const struct redis_reply *r)
{
	return r != NULL && real(r)->type == REDIS_REPLY_ERROR;
}

bool redis_error_is(const struct redis_reply *r, const char *word)
{
	return redis_is_error(r) && str_starts(real(r)->str, word);
}

bool redis_is_nil(const struct redis_reply *r)
{
	return r == NULL || real(r)->type == REDIS_REPLY_NIL;
}

size_t redis_count(const struct redis_reply *r)
{
	return r != NULL && real(r)->type == REDIS_REPLY_ARRAY ? (size_t)real(r)->elements : 0;
}

const struct redis_reply *redis_at(const struct redis_reply *r, size_t i)
{
	return i < redis_count(r) ? (const struct redis_reply *)(const void *)real(r)->element[i]
				  : NULL;
}

const struct redis_reply *redis_value(const struct redis_reply *list, const char *name)
{
	size_t i;

	for (i = 0; i + 1 < redis_count(list); i += 2)
		if (redis_is(redis_at(list, i), name))
			return redis_at(list, i + 1);
	return NULL;
}

const char *redis_str(const struct redis_reply *r, size_t *n)
{
	if (r == NULL ||
	    (real(r)->type != REDIS_REPLY_STRING && real(r)->type != REDIS_REPLY_STATUS &&
	     real(r)->type != REDIS_REPLY_ERROR))
		return NULL;
	if (n != NULL)
		*n = (size_t)real(r)->len;
	return real(r)->str;
}

bool redis_copy(const struct redis_reply *r, char *dst, size_t n)
{
	size_t len = 0;
	const char *s = redis_str(r, &len);

	if (s == NULL || len >= n || memchr(s, '\0', len) != NULL)
		return false;
	memcpy(dst, s, len);
	dst[len] = '\0';
	return true;
}

bool redis_i64(const struct redis_reply *r, int64_t *out)
{
	size_t n = 0;
	const char *s = redis_str(r, &n);

	if (r != NULL && real(r)->type == REDIS_REPLY_INTEGER) {
		*out = real(r)->integer;
		return true;
	}
	return s != NULL && str_to_i64(s, n, out);
}

bool redis_u64(const struct redis_reply *r, uint64_t *out)
{
	int64_t v = 0;

	if (!redis_i64(r, &v) || v < 0)
		return false;
	*out = (uint64_t)v;
	return true;
}

bool redis_is(const struct redis_reply *r, const char *s)
{
	size_t n = 0;
	const char *p = redis_str(r, &n);

	return p != NULL && strlen(s) == n && memcmp(p, s, n) == 0;
}

void redis_cmd_arg(struct redis_cmd *c, const void *p, size_t n)
{
	buf_addc(&c->words, '$');
	buf_addi(&c->words, (int64_t)n);
	buf_adds(&c->words, "\r\n");
	buf_add(&c->words, p, n);
	buf_adds(&c->words, "\r\n");
	c->n++;
}

void redis_cmd_str(struct redis_cmd *c, const char *s)
{
	redis_cmd_arg(c, s, strlen(s));
}

void redis_cmd_i64(struct redis_cmd *c, int64_t v)
{
	struct buf text = { 0 };

	buf_addi(&text, v);
	redis_cmd_arg(c, text.data, text.len);
	buf_reset(&text);
}

/* --- the reader: hiredis' with limits it lacks --- */

struct reader {
	redisReader *hi; /* owned */
	redisReplyObjectFunctions fn;
	size_t since; /* bytes fed since the last whole reply */
	size_t max_bytes;
};

/* An array that claims more elements than fit here is refused before room is made. */
static redisReplyObjectFunctions defaults;

#if HIREDIS_MAJOR >= 1
static void *array_bounded(const redisReadTask *t, size_t n)
{
	return n <= REDIS_ELEMENTS_MAX ? defaults.createArray(t, n) : NULL;
}
#else
static void *array_bounded(const redisReadTask *t, int n)
{
	return n >= 0 && (unsigned)n <= REDIS_ELEMENTS_MAX ? defaults.createArray(t, n) : NULL;
}
#endif

struct reader *reader_create(size_t max_bytes)
{
	struct reader *r = mem_zalloc(sizeof(*r));

	r->hi = redisReaderCreate();
	CHECK(r->hi != NULL);
	defaults = *r->hi->fn;
	r->fn = defaults;
	r->fn.createArray = array_bounded;
	r->hi->fn = &r->fn;
	r->max_bytes = max_bytes;
	return r;
}

void reader_free(struct reader **r)
{
	if (*r == NULL)
		return;
	redisReaderFree((*r)->hi);
	mem_free(*r);
	*r = NULL;
}

static void *next_reply(struct reader *r, struct err *e, int *rc)
{
	void *reply = NULL;

	*rc = 0;
	if (redisReaderGetReply(r->hi, &reply) != REDIS_OK)
		*rc = err_set(e, ERR_PROTO, "not a Redis answer: %s", r->hi->errstr);
	return reply;
}

int reader_feed(struct reader *r, const void *p, size_t n, reader_fn *fn, void *arg, struct err *e)
{
	int rc = 0;

	r->since += n;
	if (redisReaderFeed(r->hi, p, n) != REDIS_OK)
		return err_set(e, ERR_PROTO, "not a Redis answer: %s", r->hi->errstr);
	for (;;) {
		void *reply = next_reply(r, e, &rc);

		if (rc < 0 || reply == NULL)
			break;
		/* What is left in the buffer belongs to the replies after this one. */
		r->since = r->hi->len - r->hi->pos;
		rc = fn(arg, (const struct redis_reply *)reply);
		r->hi->fn->freeObject(reply);
		if (rc < 0)
			return rc == READER_STOP ? 0 : rc;
	}
	if (rc == 0 && r->since > r->max_bytes)
		rc = err_set(e, ERR_LIMIT, "an answer is larger than %zu bytes", r->max_bytes);
	return rc;
}
