/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script - the Lua scripts that run inside Redis, made from *.lua at build time.
 *
 * A script is named by its content (its SHA1), so two versions of zonesync never
 * replace each other's code (zone-protocol 1).
 *
 * Owns: nothing. Blocks: never. Errors: none.
 */
#pragma once

enum script {
	SCRIPT_ACQUIRE,
	SCRIPT_RENEW,
	SCRIPT_RELEASE,
	SCRIPT_READ,
	SCRIPT_MANIFEST,
	SCRIPT_PROBE,
	SCRIPT_ADOPT,
	SCRIPT_SURVEY,
	SCRIPT_SUSPECT,
	SCRIPT__COUNT
};

extern const char *const script_text[SCRIPT__COUNT];
