/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/str.h"
#include "supervisor/internal.h"

static int send_resync(struct supervisor *s, enum slice_worker who, enum resync what,
		       const char *set, struct err *e)
{
	Ipc__Envelope m;
	Ipc__Resync r;

	ipc__envelope__init(&m);
	ipc__resync__init(&r);
	r.accept_deletes = what == RESYNC_ACCEPT_DELETES;
	if (set != NULL)
		r.set = (char *)(uintptr_t)set;
	m.body_case = IPC__ENVELOPE__BODY_RESYNC;
	m.resync = &r;
	if (child_state(s->child[who]) != CHILD_UP || child_send(s->child[who], &m) < 0)
		return err_set(e, ERR_STATE, "the %s is down", child_name(s->child[who]));
	return 0;
}

int supervisor_resync(struct supervisor *s, enum resync what, struct err *e)
{
	if (what == RESYNC_STORE)
		return send_resync(s, SLICE_CACHE, what, NULL, e);
	if (!supervisor_publishes(s))
		return err_set(
			e, ERR_STATE,
			"only the primary reads the source; ask it there (see `zonesync status`)");
	return send_resync(s, SLICE_FETCHER, what, NULL, e);
}

/* What is missing may keep a zone from serving on a node that is not its primary, too. */
int supervisor_accept_deletes(struct supervisor *s, const char *set, struct buf *text,
			      struct err *e)
{
	const char *shown = supervisor_publishes(s) ? supervisor_guard_set(s) : "";
	bool here = status_is_behind(s);
	int rc = 0;

	if (set != NULL && !str_equal(set, shown) && supervisor_publishes(s))
		return err_set(e, ERR_STATE,
			       "what is held back is another set by now, %s: see `zonesync status`",
			       shown[0] == '\0' ? "of nothing" : shown);
	if (shown[0] == '\0' && !here)
		return err_set(e, ERR_STATE,
			       supervisor_publishes(s) ? "nothing is held back"
						       : "only the primary reads the source; ask "
							 "it there (see `zonesync status`)");
	if (here) {
		buf_adds(&text[0], "what the zone lacks no longer keeps it from serving here\n");
		rc = send_resync(s, SLICE_CACHE, RESYNC_ACCEPT_DELETES, NULL, e);
	}
	if (rc < 0 || shown[0] == '\0')
		return rc;
	buf_printf(text, "the next pass removes the set %s, if it still finds that one\n", shown);
	return send_resync(s, SLICE_FETCHER, RESYNC_ACCEPT_DELETES, shown, e);
}
