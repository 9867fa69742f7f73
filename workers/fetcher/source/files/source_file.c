/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/encoding.h"
#include "workers/fetcher/source/files/source_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/json/scan.h"
#include "workers/fetcher/source/files/relate.h"
#include "workers/fetcher/source/files/strays.h"

#define CHANGES_MAX  1024 /* names inotify told of; beyond it everything is listed */
#define NAP_MS	     20
#define DOUBT_ROUNDS 5 /* looks at files in the middle of being written, in a full pass */
#define QUIET_ROUNDS 3 /* looks at directories, one after another, until two are alike */
#define WATCH_MASK                                                                                 \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_ATTRIB)

struct source_file {
	struct source base;
	char *root;
	uint64_t max_bytes;
	struct relate r;
	struct feed *feed;
	bool notify; /* as configured */
	int inotify; /* -1: none */
	struct err no_watch;
	int watch[DIR__COUNT]; /* -1: none */
	int watch_root;
	bool list_all;		    /* the next pass lists the directories */
	int64_t listed_ms;	    /* boot time: the end of the last that did */
	char *changes[CHANGES_MAX]; /* "apis/a.json", owned */
	size_t n_changes;
	size_t doubted;			/* files to read once more */
	size_t missing;			/* documents without a file, which may come back */
	int64_t changed_ms[DIR__COUNT]; /* boot time: documents, or all of it, came or went */
	bool there[DIR__COUNT];		/* as listed last */
	bool lists;			/* this pass does */
	uint64_t rows;
};

static struct source_file *self_of(struct source *s)
{
	return (struct source_file *)s;
}

/* --- reading --- */

static int read_file(const struct source_file *s, const char *path, struct buf *out,
		     struct stat *sb, struct err *e)
{
	char *full = mem_printf("%s/%s", s->root, path);
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int rc = 0;

	if (fd < 0 || fstat(fd, sb) < 0) {
		rc = err_errno(e, errno, "read");
	} else if (!S_ISREG(sb->st_mode)) {
		rc = err_set(e, ERR_PARSE, "it is no file");
	} else if ((uint64_t)sb->st_size > s->max_bytes) {
		rc = err_set(
			e, ERR_LIMIT,
			"%lld bytes are more than zonesync.limits.entity_max_bytes allows (%llu)",
			(long long)sb->st_size, (unsigned long long)s->max_bytes);
	} else {
		ssize_t n = 0;

		buf_clear(out);
		buf_reserve(out, (size_t)sb->st_size + 1);
		while (out->len <= s->max_bytes &&
		       (n = read(fd, out->data + out->len, out->cap - out->len)) > 0) {
			out->len += (size_t)n;
			buf_reserve(out, 1);
		}
		if (n < 0)
			rc = err_errno(e, errno, "read");
		else if (out->len > s->max_bytes)
			rc = err_set(e, ERR_LIMIT, "it grew beyond the limit while it was read");
		else
			rc = encoding_to_utf8(out, e);
	}
	if (fd >= 0)
		(void)close(fd);
	mem_free(full);
	return rc;
}

static int64_t mtime_ns(const struct stat *sb)
{
	return (int64_t)sb->st_mtim.tv_sec * 1000000000 + sb->st_mtim.tv_nsec;
}

static bool is_seen(const struct doc *doc, const struct stat *sb)
{
	return doc->read && doc->seen.mtime_ns == mtime_ns(sb) && doc->seen.size == sb->st_size &&
	       doc->seen.inode == sb->st_ino;
}

static void set_doubt(struct source_file *s, struct doc *doc, bool doubted)
{
	if (doc->doubted == doubted)
		return;
	doc->doubted = doubted;
	s->doubted += doubted ? 1 : (size_t)-1;
}

/* The file is there, or is not. */
static void set_missing(struct source_file *s, struct doc *doc, bool missing)
{
	if (doc->missing == missing)
		return;
	doc->missing = missing;
	s->missing += missing ? 1 : (size_t)-1;
	s->changed_ms[doc->dir] = clock_boot_ms();
}

/* Nothing came or went there for so long that what is missing is no half of a checkout. */
static bool is_quiet(const struct source_file *s, enum docs_dir dir)
{
	return clock_boot_ms() - s->changed_ms[dir] >= SOURCE_FILE_LOOK_MS;
}

static struct doc *add_doc(struct source_file *s, enum docs_dir dir, const char *path)
{
	s->changed_ms[dir] = clock_boot_ms();
	return docs_add(&s->r.docs, dir, path);
}

/* Another file has what it had: it was renamed. */
static bool has_heir(const struct source_file *s, const struct doc *doc)
{
	const struct doc_list *l = doc->id == NULL ? NULL
						   : table_get(&s->r.docs.ids[doc->dir], doc->id);

	return l != NULL && l->n > 1;
}

static void take_missing(struct source_file *s, struct doc *doc)
{
	bool before = doc->missing;

	set_doubt(s, doc, false);
	set_missing(s, doc, true);
	/* What is gone by now may be gone with its directory, which only a listing tells. */
	if (!before || !((s->lists && is_quiet(s, doc->dir)) || has_heir(s, doc)))
		return;
	s->missing--;
	relate_gone(&s->r, doc);
}

/* Reads one document and says what it is now. */
static void take_doc(struct source_file *s, struct doc *doc)
{
	struct buf text = { 0 };
	struct json_span v;
	struct err e = { 0 };
	struct stat sb;
	int rc = read_file(s, doc->path, &text, &sb, &e);
	bool parses = rc == 0 && json_check(text.data, text.len, &v, &e) == 0;

	docs_unmark(&s->r.docs, doc);
	s->rows++;
	if (rc == -ENOENT) {
		take_missing(s, doc);
		buf_reset(&text);
		return;
	}
	set_missing(s, doc, false);
	if (!parses && !doc->doubted && rc != ERR_LIMIT) {
		/* It may be half written: nothing is said of it until the second look. */
		set_doubt(s, doc, true);
		buf_reset(&text);
		return;
	}
	set_doubt(s, doc, false);
	if (rc >= 0) {
		doc->seen.mtime_ns = mtime_ns(&sb);
		doc->seen.size = sb.st_size;
		doc->seen.inode = sb.st_ino;
		doc->read = true;
	}
	if (parses)
		relate_doc(&s->r, doc, &text, mtime_ns(&sb) / 1000000);
	else
		relate_quarantine(&s->r, doc, e.text);
	buf_reset(&text);
}

/* --- listing --- */

/* Paths of the documents in a directory, sorted. -ENOENT: there is no such directory. */
static int list_dir(const struct source_file *s, enum docs_dir dir, struct map_ids *out,
		    struct err *e)
{
	char *full = mem_printf("%s/%s", s->root, docs_form(dir)->dir);
	DIR *d = opendir(full);
	struct dirent *ent;
	int rc = 0;

	if (d == NULL)
		rc = err_errno(e, errno, "%s", full);
	while (d != NULL && (errno = 0, ent = readdir(d)) != NULL) {
		char *path = mem_printf("%s/%s", docs_form(dir)->dir, ent->d_name);

		if (docs_is_document(ent->d_name))
			map_ids_add(out, path);
		mem_free(path);
	}
	if (d != NULL && errno != 0)
		rc = err_errno(e, errno, "list %s", full);
	if (d != NULL)
		(void)closedir(d);
	map_ids_sort(out);
	mem_free(full);
	return rc;
}

static bool stat_path(const struct source_file *s, const char *path, struct stat *sb)
{
	char *full = mem_printf("%s/%s", s->root, path);
	bool found = stat(full, sb) == 0;

	mem_free(full);
	return found;
}

/* Compares the listing with what is known: marks what changed, and what is missing. */
static void compare(struct source_file *s, enum docs_dir dir, const struct map_ids *l, bool full)
{
	struct stat sb;
	size_t at = 0;
	size_t i;
	void *v;

	for (i = 0; i < l->n; i++) {
		struct doc *doc = docs_find(&s->r.docs, l->v[i]);

		if (doc == NULL)
			doc = add_doc(s, dir, l->v[i]);
		doc->present = true;
		if (full || doc->doubted || doc->missing || !stat_path(s, l->v[i], &sb) ||
		    !is_seen(doc, &sb))
			docs_mark(&s->r.docs, doc);
		set_missing(s, doc, false); /* listed: not gone, should it be when it is read */
	}
	while (table_next(&s->r.docs.paths, &at, NULL, &v)) {
		struct doc *doc = v;

		if (doc->dir != dir)
			continue;
		if (!doc->present)
			docs_mark(&s->r.docs, doc);
		doc->present = false;
	}
}

/* Documents of the directories (a bit each) that cannot be read; `never`: and never could. */
static size_t count_unread(const struct source_file *s, unsigned dirs, bool never)
{
	size_t at = 0;
	size_t n = 0;
	void *v;

	while (table_next(&s->r.docs.paths, &at, NULL, &v)) {
		const struct doc *doc = v;

		n += (dirs >> doc->dir & 1) != 0 && (doc->doubted || doc->quarantined) &&
		     (!never || doc->id == NULL);
	}
	return n;
}

/* Everything of a directory that is dirty, in the order of the paths. */
static void take_dirty(struct source_file *s, enum docs_dir dir)
{
	unsigned round;

	if (dir == DIR_API_PRODUCTS)
		s->r.places->unreadable =
			count_unread(s, 1U << DIR_ENVIRONMENTS | 1U << DIR_ORGANIZATIONS, false);
	if (dir == DIR_APIS)
		s->r.products.doubt = count_unread(s, 1U << DIR_API_PRODUCTS, true) > 0;
	/* Ranks may change while reading: a few rounds settle them. */
	for (round = 0; round < 4 && s->r.docs.dirty[dir] > 0; round++) {
		struct map_ids l = { 0 };
		size_t at = 0;
		size_t i;
		void *v;

		while (table_next(&s->r.docs.paths, &at, NULL, &v)) {
			struct doc *doc = v;

			if (doc->dir == dir && doc->dirty)
				map_ids_add(&l, doc->path);
		}
		map_ids_sort(&l);
		for (i = 0; i < l.n && !feed_stopping(s->feed); i++) {
			struct doc *doc = docs_find(&s->r.docs, l.v[i]);

			if (doc != NULL && doc->dirty)
				take_doc(s, doc);
		}
		map_ids_reset(&l);
	}
}

/* --- inotify --- */

/* A directory that was moved away is watched as long as nobody says otherwise. */
static int watch_one(struct source_file *s, int old, const char *path)
{
	int wd = inotify_add_watch(s->inotify, path, WATCH_MASK | IN_ONLYDIR);

	if (wd < 0 && errno != ENOENT) /* it need not exist, and its parent tells when it does */
		(void)err_errno(&s->no_watch, errno, "inotify, %s", path);
	if (old >= 0 && old != wd)
		(void)inotify_rm_watch(s->inotify, old);
	return wd;
}

static void watch_all(struct source_file *s)
{
	unsigned i;

	s->no_watch = (struct err){ 0 };
	if (!s->notify) {
		feed_notify(s->feed, "off");
		return;
	}
	if (s->inotify < 0)
		s->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify < 0)
		(void)err_errno(&s->no_watch, errno, "inotify");
	else
		s->watch_root = watch_one(s, s->watch_root, s->root);
	for (i = 0; s->inotify >= 0 && i < DIR__COUNT; i++) {
		char *full = mem_printf("%s/%s", s->root, docs_form((enum docs_dir)i)->dir);

		s->watch[i] = watch_one(s, s->watch[i], full);
		mem_free(full);
	}
	if (s->no_watch.code < 0) {
		char *text = mem_printf("polling: %s", s->no_watch.text);

		feed_notify(s->feed, text);
		mem_free(text);
	} else {
		feed_notify(s->feed, "inotify");
	}
}

/* A link is whole when it is there; a file is only when it is closed. */
static bool is_link(const struct source_file *s, enum docs_dir dir, const char *name)
{
	char *full = mem_printf("%s/%s/%s", s->root, docs_form(dir)->dir, name);
	struct stat sb;
	bool link = lstat(full, &sb) == 0 && (S_ISLNK(sb.st_mode) || sb.st_nlink > 1);

	mem_free(full);
	return link;
}

static bool is_watched(const struct source_file *s, int wd)
{
	unsigned i;

	for (i = 0; i < DIR__COUNT; i++)
		if (s->watch[i] == wd)
			return true;
	return wd == s->watch_root;
}

/* Whether it may be a change. */
static bool note_change(struct source_file *s, const struct inotify_event *ev)
{
	unsigned i;

	/* The last word of a directory that was replaced: a second listing because of it would
	   agree with the first before anything could have come back. */
	if ((ev->mask & IN_Q_OVERFLOW) == 0 && !is_watched(s, ev->wd))
		return false;
	if ((ev->mask & IN_Q_OVERFLOW) != 0 || ev->len == 0 || ev->wd == s->watch_root ||
	    s->n_changes == CHANGES_MAX) {
		s->list_all = true;
		return true;
	}
	for (i = 0; i < DIR__COUNT; i++) {
		bool document = docs_is_document(ev->name);

		if (s->watch[i] != ev->wd)
			continue;
		/* A ConfigMap swaps a link named "..data": nothing tells which files it changes. */
		if (str_starts(ev->name, "..") || (document && (ev->mask & IN_ISDIR) != 0)) {
			s->list_all = true;
			return true;
		}
		if (!document ||
		    ((ev->mask & IN_CREATE) != 0 && !is_link(s, (enum docs_dir)i, ev->name)))
			return false;
		s->changes[s->n_changes++] =
			mem_printf("%s/%s", docs_form((enum docs_dir)i)->dir, ev->name);
		return true;
	}
	return false;
}

static bool read_changes(struct source_file *s)
{
	char raw[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool any = false;
	ssize_t n;

	while (s->inotify >= 0 && (n = read(s->inotify, raw, sizeof(raw))) > 0) {
		ssize_t at = 0;

		while (at < n) {
			const struct inotify_event *ev = (const void *)(raw + at);

			any = note_change(s, ev) || any;
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
	}
	return any;
}

static void file_wait(struct source *base, int wake_fd, int timeout_ms)
{
	struct source_file *s = self_of(base);
	struct pollfd p[2] = { { wake_fd, POLLIN, 0 }, { s->inotify, POLLIN, 0 } };
	int64_t now_ms = clock_boot_ms();
	int64_t list_ms = s->listed_ms + timeout_ms; /* whatever is told meanwhile */
	int64_t end_ms = s->doubted + s->missing > 0 ? MIN(now_ms + SOURCE_FILE_RETRY_MS, list_ms)
						     : list_ms;

	/* Not for what is told of other files. */
	while (now_ms < end_ms && poll(p, 2, (int)(end_ms - now_ms)) > 0) {
		if ((p[0].revents & POLLIN) != 0 || read_changes(s))
			break;
		now_ms = clock_boot_ms();
	}
	if (clock_boot_ms() >= list_ms)
		s->list_all = true; /* the rescan */
}

/* --- a pass --- */

static void clear_changes(struct source_file *s)
{
	while (s->n_changes > 0)
		mem_free(s->changes[--s->n_changes]);
}

static enum docs_dir dir_of(const char *path)
{
	unsigned i;

	for (i = 0; i < DIR__COUNT; i++) {
		const char *name = docs_form((enum docs_dir)i)->dir;

		if (str_starts(path, name) && path[strlen(name)] == '/')
			return (enum docs_dir)i;
	}
	return DIR__COUNT;
}

static void mark_doubted(struct source_file *s)
{
	size_t at = 0;
	void *v;

	while (s->doubted + s->missing > 0 && table_next(&s->r.docs.paths, &at, NULL, &v))
		if (((struct doc *)v)->doubted || ((struct doc *)v)->missing)
			docs_mark(&s->r.docs, v);
}

/* Marks what inotify named; a file that is gone is handled when it is read. */
static void mark_changes(struct source_file *s)
{
	size_t i;

	for (i = 0; i < s->n_changes; i++) {
		struct doc *doc = docs_find(&s->r.docs, s->changes[i]);
		struct stat sb;

		if (doc == NULL && stat_path(s, s->changes[i], &sb))
			doc = add_doc(s, dir_of(s->changes[i]), s->changes[i]);
		if (doc != NULL && (!stat_path(s, s->changes[i], &sb) || !is_seen(doc, &sb)))
			docs_mark(&s->r.docs, doc);
	}
	mark_doubted(s);
}

/* Absence proves nothing of what a directory holds that is not there, or is empty. */
static void doubt_dir(struct source_file *s, enum docs_dir dir, bool there)
{
	char *text = mem_printf("%s/%s %s", s->root, docs_form(dir)->dir,
				there ? "is empty" : "is missing");

	feed_doubt(s->feed, 1U << docs_form(dir)->kind, there ? SOURCE_FILE_HELD : 1, text);
	mem_free(text);
}

/* All listings before anything is concluded: half a source proves nothing. */
static int list_everything(struct source_file *s, struct map_ids lists[DIR__COUNT], struct err *e)
{
	unsigned i;
	int rc = 0;

	if (access(s->root, R_OK | X_OK) < 0)
		return err_errno(e, errno, "%s", s->root);
	for (i = 0; rc == 0 && i < DIR__COUNT; i++) {
		bool there;

		rc = list_dir(s, (enum docs_dir)i, &lists[i], e);
		there = rc != -ENOENT;
		if (there != s->there[i])
			s->changed_ms[i] = clock_boot_ms();
		s->there[i] = there;
		/* What hangs on environments is doubted when they are; an installation is told
		   of by many a node. */
		if (lists[i].n == 0 && (rc == 0 || !there) && i != DIR_ENVIRONMENTS &&
		    i != DIR_INSTALLATION)
			doubt_dir(s, (enum docs_dir)i, there);
		rc = there ? rc : 0;
	}
	if (rc == 0 && access(s->root, R_OK) < 0)
		rc = err_errno(e, errno, "%s", s->root);
	return rc;
}

/* Everything that is dirty, in the order in which it must be read. */
static void take_all(struct source_file *s)
{
	unsigned i;

	for (i = 0; i < DIR__COUNT; i++)
		take_dirty(s, (enum docs_dir)i);
}

/* In steps, so that a demotion need not wait for the end of it. */
static void nap(const struct source_file *s, int ms)
{
	for (; ms > 0 && !feed_stopping(s->feed); ms -= NAP_MS)
		(void)poll(NULL, 0, NAP_MS);
}

/* A full pass proves what is gone, so it ends with nothing in doubt. */
static int settle_doubt(struct source_file *s, struct err *e)
{
	unsigned round;

	for (round = 0; s->doubted > 0 && !feed_stopping(s->feed); round++) {
		if (round == DOUBT_ROUNDS)
			return err_set(e, ERR_BUSY, "%zu files are still being written",
				       s->doubted);
		nap(s, SOURCE_FILE_RETRY_MS);
		mark_doubted(s);
		take_all(s);
	}
	return 0;
}

/* Lists and reads everything again. 1: it is as it was; 0: something came or went. */
static int look_again(struct source_file *s, struct map_ids lists[DIR__COUNT], struct err *e)
{
	struct map_ids next[DIR__COUNT] = { { 0 } };
	bool same = true;
	unsigned i;
	int rc = list_everything(s, next, e);

	for (i = 0; rc == 0 && i < DIR__COUNT; i++) {
		same = same && map_ids_equal(&lists[i], &next[i]);
		compare(s, (enum docs_dir)i, &next[i], false);
	}
	if (rc == 0)
		take_all(s);
	for (i = 0; i < DIR__COUNT; i++) {
		map_ids_reset(&lists[i]);
		lists[i] = next[i];
	}
	return rc < 0 ? rc : same;
}

/* What the zone holds and no document made is asked for: a second later it still is nowhere,
   and nothing came or went in between. Else nothing is absent, and another pass comes. */
static int settle_absence(struct source_file *s, struct map_ids lists[DIR__COUNT], struct err *e)
{
	struct feed_unmet unmet = { 0 };
	unsigned round;
	int rc = 0;

	for (round = 0; round < QUIET_ROUNDS; round++) {
		if (feed_unmet(s->feed, &unmet, NULL) < 0 || (unmet.n == 0 && s->missing == 0))
			break;
		nap(s, SOURCE_FILE_LOOK_MS);
		rc = look_again(s, lists, e);
		if (rc != 0 && (rc < 0 || s->missing == 0))
			break;
	}
	if (round == QUIET_ROUNDS) {
		feed_partial(s->feed);
		feed_want(s->feed, PASS_COMPARE);
	}
	feed_unmet_reset(&unmet);
	return MIN(rc, 0);
}

/* Documents that are missing are gone when everything is listed, and they are not there. */
static bool is_look_due(const struct source_file *s)
{
	size_t at = 0;
	void *v;

	while (s->missing > 0 && table_next(&s->r.docs.paths, &at, NULL, &v))
		if (((struct doc *)v)->missing && is_quiet(s, ((struct doc *)v)->dir))
			return true;
	return false;
}

static int read_everything(struct source_file *s, bool full, struct err *e)
{
	struct map_ids lists[DIR__COUNT] = { { 0 } };
	unsigned i;
	int rc;

	feed_whole(s->feed);
	if (full) /* all documents are read */
		places_unname(s->r.places);
	watch_all(s);	       /* first: what changes during the listing is told */
	(void)read_changes(s); /* and what changed before is listed, not told again */
	rc = list_everything(s, lists, e);
	for (i = 0; rc == 0 && i < DIR__COUNT; i++) {
		compare(s, (enum docs_dir)i, &lists[i], full);
		take_dirty(s, (enum docs_dir)i);
	}
	if (rc == 0 && full)
		rc = settle_doubt(s, e);
	if (rc == 0)
		source_doubt_places(s->feed, s->r.places);
	if (rc == 0 && full)
		rc = settle_absence(s, lists, e);
	for (i = 0; i < DIR__COUNT; i++)
		map_ids_reset(&lists[i]);
	s->listed_ms = clock_boot_ms();
	return rc;
}

/* Of all documents, in the order of their paths. */
static void account(struct source_file *s)
{
	struct unpublished u = { 0 };
	struct map_ids l = { 0 };
	const char *path;
	size_t at = 0;
	size_t i;
	void *v;

	strays_add(s->root, &u);
	while (table_next(&s->r.docs.paths, &at, &path, &v))
		if (((struct doc *)v)->unpublished != NULL && !((struct doc *)v)->quarantined)
			map_ids_add(&l, path);
	map_ids_sort(&l);
	for (i = 0; i < l.n; i++) {
		const struct doc *doc = docs_find(&s->r.docs, l.v[i]);

		unpublished_add(&u, kind_name(docs_form(doc->dir)->kind), doc->unpublished,
				doc->path);
	}
	map_ids_reset(&l);
	feed_unpublished(s->feed, &u);
}

static int file_pass(struct source *base, enum pass_kind what, struct feed *f, struct err *e)
{
	struct source_file *s = self_of(base);
	bool full = what != PASS_DELTA; /* contents are compared: there is nothing to skip */
	unsigned i;
	int rc = 0;

	s->feed = f;
	s->r.feed = f;
	s->r.pass++;
	s->rows = 0;
	feed_lag(f, 0);
	(void)read_changes(s);
	s->lists = full || s->list_all || is_look_due(s);
	if (s->lists) {
		rc = read_everything(s, full, e);
	} else {
		mark_changes(s);
		take_all(s);
	}
	if (rc == 0)
		clear_changes(s);
	if (rc == 0 && s->lists)
		account(s);
	if (s->missing > 0)
		feed_partial(f); /* they may be there */
	s->list_all = rc < 0;
	for (i = 0; rc < 0 && i < DIR__COUNT; i++)
		s->changed_ms[i] = clock_boot_ms(); /* an outage proves nothing */
	return rc < 0 ? rc : (int)MIN(s->rows, INT_MAX);
}

static void file_close(struct source *base)
{
	struct source_file *s = self_of(base);

	if (s->inotify >= 0)
		(void)close(s->inotify);
	clear_changes(s);
	relate_reset(&s->r);
	mem_free(s->root);
	mem_free(s);
}

struct source *source_file_open(const Ipc__FetcherConfig *c)
{
	static const struct source_ops ops = { file_pass, file_wait, file_close };
	struct source_file *s = mem_zalloc(sizeof(*s));
	unsigned i;

	s->base.ops = &ops;
	s->root = mem_strdup(c->file_path);
	s->max_bytes = c->entity_max_bytes;
	s->r.ctx = source_context(c);
	s->r.places = map_places(s->r.ctx);
	s->notify = c->notify;
	s->inotify = -1;
	s->watch_root = -1;
	for (i = 0; i < DIR__COUNT; i++)
		s->watch[i] = -1;
	s->list_all = true;
	return &s->base;
}
