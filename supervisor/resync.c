/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "supervisor/supervisor_internal.h"

static int send_resync(struct supervisor *s, enum slice_worker who, Ipc__Resync *r, struct err *e)
{
	if (child_state(s->child[who]) != CHILD_UP || child_send(s->child[who], &r->base) < 0)
		return err_set(e, ERR_STATE, "the %s is down", child_name(s->child[who]));
	return 0;
}

int supervisor_resync(struct supervisor *s, struct buf *text, struct err *e)
{
	Ipc__Resync r = IPC__RESYNC__INIT;

	buf_adds(text, "building the local store anew; the old one serves until then\n");
	return send_resync(s, SLICE_CACHE, &r, e);
}

int supervisor_compare(struct supervisor *s, struct buf *text, struct err *e)
{
	Ipc__Resync r = IPC__RESYNC__INIT;

	if (!supervisor_publishes(s))
		return err_set(
			e, ERR_STATE,
			"only the primary reads the source; ask it there (see `zonesync status`)");
	buf_adds(text, "comparing the whole source with the zone\n");
	return send_resync(s, SLICE_FETCHER, &r, e);
}

/* What is missing may keep a zone from serving on a node that is not its primary, too; what is
   said on the primary every node hears. */
int supervisor_accept_deletes(struct supervisor *s, const char *set, struct buf *text,
			      struct err *e)
{
	bool primary = supervisor_publishes(s);
	const Ipc__FetcherReport *f = status_fetcher(s);
	const Ipc__CacheReport *c = status_cache(s);
	const char *shown = primary && f != NULL ? f->guard_set : "";
	Ipc__Resync r = IPC__RESYNC__INIT;
	/* A person can say that what was built serves, though it lacks names; what is named is
	   that and nothing else. */
	bool here = c != NULL && c->asks && set == NULL;
	int rc = 0;

	if (set != NULL && !str_equal(set, shown) && primary)
		return err_set(e, ERR_STATE,
			       "what is held back is another set by now, %s: see `zonesync status`",
			       shown[0] == '\0' ? "of nothing" : shown);
	if (shown[0] == '\0' && !here)
		return err_set(e, ERR_STATE,
			       primary ? "nothing is held back"
				       : "only the primary reads the source; ask it there (see "
					 "`zonesync status`)");
	r.accept_deletes = true;
	r.set = (char *)(uintptr_t)shown;
	r.lacks = here ? c->lacks : 0;
	if (here) {
		buf_printf(text, "what the zone lacks no longer keeps it from serving %s\n",
			   primary && r.lacks > 0 ? "on any node" : "here");
		rc = send_resync(s, SLICE_CACHE, &r, e);
	}
	if (shown[0] != '\0')
		buf_printf(text, "the next pass removes the set %s, if it still finds that one\n",
			   shown);
	if (rc == 0 && primary && (shown[0] != '\0' || r.lacks > 0))
		rc = send_resync(s, SLICE_FETCHER, &r, e);
	return rc;
}
