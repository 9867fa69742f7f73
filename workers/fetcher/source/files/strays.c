/* SPDX-License-Identifier: Apache-2.0 */
#include "workers/fetcher/source/files/strays.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "workers/fetcher/source/files/docs.h"

#define FILE_TYPE      "FILE"
#define DIRECTORY_TYPE "DIRECTORY"

static bool is_directory(const char *root, const char *path)
{
	char *full = mem_printf("%s/%s", root, path);
	struct stat sb;
	bool directory = stat(full, &sb) == 0 && S_ISDIR(sb.st_mode);

	mem_free(full);
	return directory;
}

static bool holds_documents(const char *name)
{
	unsigned i;

	for (i = 0; i < DIR__COUNT; i++)
		if (str_equal(name, docs_form((enum docs_dir)i)->dir))
			return true;
	return false;
}

/* Beside the directories of documents: files of other names are nobody's mistake. */
static void add_beside(const char *root, const char *name, struct unpublished *u)
{
	if (is_directory(root, name)) {
		if (!holds_documents(name) && !str_equal(name, "lost+found"))
			unpublished_add(u, DIRECTORY_TYPE, "whose name is that of no type", name);
	} else if (docs_is_document(name)) {
		unpublished_add(u, FILE_TYPE, "in none of the directories of types", name);
	}
}

static void add_within(const char *root, const char *dir, const char *name, struct unpublished *u)
{
	char *path = mem_printf("%s/%s", dir, name);

	if (is_directory(root, path))
		unpublished_add(u, DIRECTORY_TYPE, "within that of a type", path);
	else
		unpublished_add(u, FILE_TYPE, "whose name does not end in .json", path);
	mem_free(path);
}

static int is_shown(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int is_no_document(const struct dirent *d)
{
	return is_shown(d) && !docs_is_document(d->d_name);
}

static void add_of(const char *root, const char *dir, struct unpublished *u)
{
	char *full = mem_printf("%s/%s", root, dir == NULL ? "" : dir);
	struct dirent **v = NULL;
	int n = scandir(full, &v, dir == NULL ? is_shown : is_no_document, alphasort);
	int i;

	for (i = 0; i < n; i++) {
		if (dir == NULL)
			add_beside(root, v[i]->d_name, u);
		else
			add_within(root, dir, v[i]->d_name, u);
		free(v[i]);
	}
	free(v);
	mem_free(full);
}

void strays_add(const char *root, struct unpublished *u)
{
	unsigned i;

	add_of(root, NULL, u);
	for (i = 0; i < DIR__COUNT; i++)
		add_of(root, docs_form((enum docs_dir)i)->dir, u);
}
