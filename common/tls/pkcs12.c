/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

/*
 * An own walk of the safe bags: PKCS12_parse() knows one key only, and would have the
 * certificates of the other keys trusted.
 */
#define NESTING	     4 /* of safe contents */
#define JAVA_TRUSTED "2.16.840.1.113894.746875.1.1"

struct p12_cert {
	X509 *cert;	   /* owned */
	char *alias;	   /* owned */
	bool trusted;	   /* has Java's attribute */
	ASN1_TYPE *key_id; /* of the bag, which `walk` keeps; NULL: none */
};

struct p12_key {
	EVP_PKEY *key; /* owned; NULL: not asked for */
	char *alias;   /* owned */
	ASN1_TYPE *key_id;
};

struct der_walk {
	const Ipc__TlsStore *from;
	OSSL_LIB_CTX *lib;
	bool keys; /* private keys are asked for */
	struct p12_cert *certs;
	size_t n_certs;
	size_t cap_certs;
	struct p12_key *key;
	size_t n_keys;
	size_t cap_keys;
	size_t n_bags;
	STACK_OF(PKCS12_SAFEBAG) * safes[KEYSTORE_CHAIN]; /* owned; bags point into them */
	size_t n_safes;
};

/* --- old algorithms --- */

static OSSL_LIB_CTX *lib;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

/* RC2 and the like of old JDKs live in a provider that nothing else here shall see. */
static void make_lib(void)
{
	lib = OSSL_LIB_CTX_new();
	CHECK(lib != NULL);
	(void)OSSL_PROVIDER_load(lib, "default");
	(void)OSSL_PROVIDER_load(lib, "legacy"); /* may be absent: then such files fail */
}

static bool few(const ASN1_INTEGER *iterations)
{
	int64_t n = 0;

	return ASN1_INTEGER_get_int64(&n, iterations) == 1 && n > 0 && n <= KEYSTORE_ITERATIONS;
}

static bool scrypt_is_cheap(const X509_ALGOR *f)
{
	SCRYPT_PARAMS *s = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), f->parameter);
	uint64_t n = 0;
	uint64_t r = 0;
	uint64_t p = 0;
	bool ok = s != NULL && ASN1_INTEGER_get_uint64(&n, s->costParameter) == 1 &&
		  ASN1_INTEGER_get_uint64(&r, s->blockSize) == 1 &&
		  ASN1_INTEGER_get_uint64(&p, s->parallelizationParameter) == 1 &&
		  n <= KEYSTORE_SCRYPT && r <= KEYSTORE_SCRYPT && p <= KEYSTORE_SCRYPT &&
		  n * r * p <= KEYSTORE_SCRYPT;

	SCRYPT_PARAMS_free(s);
	return ok;
}

static bool derivation_is_cheap(const X509_ALGOR *f)
{
	PBKDF2PARAM *p;
	bool ok;

	if (OBJ_obj2nid(f->algorithm) == NID_id_scrypt)
		return scrypt_is_cheap(f);
	if (OBJ_obj2nid(f->algorithm) != NID_id_pbkdf2)
		return true; /* OpenSSL knows no other */
	p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), f->parameter);
	ok = p != NULL && few(p->iter);
	PBKDF2PARAM_free(p);
	return ok;
}

/* A file that asks for billions of rounds would keep a thread busy for ever. */
int tls_check_cost(const X509_ALGOR *a, struct err *e)
{
	bool ok = false;

	if (OBJ_obj2nid(a->algorithm) == NID_pbes2) {
		PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), a->parameter);

		ok = p != NULL && p->keyfunc != NULL && derivation_is_cheap(p->keyfunc);
		PBE2PARAM_free(p);
	} else {
		PBEPARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), a->parameter);

		ok = p != NULL && few(p->iter);
		PBEPARAM_free(p);
	}
	return ok ? 0
		  : err_set(e, ERR_LIMIT, "is damaged, or asks for more than %d iterations",
			    KEYSTORE_ITERATIONS);
}

/* What a failed decryption means. */
static int decrypt_err(struct err *e, const char *wrong)
{
	unsigned long code;
	bool unsupported = false;

	while ((code = ERR_get_error()) != 0)
		unsupported = unsupported || ERR_GET_REASON(code) == ERR_R_UNSUPPORTED ||
			      ERR_GET_REASON(code) == EVP_R_UNSUPPORTED_ALGORITHM ||
			      ERR_GET_REASON(code) == EVP_R_UNKNOWN_PBE_ALGORITHM;
	if (unsupported)
		return err_set(e, ERR_CONFIG,
			       "is encrypted with an old algorithm that this OpenSSL does not "
			       "have; convert it with keytool -importkeystore -deststoretype "
			       "pkcs12 of a newer JDK");
	return err_set(e, ERR_CONFIG, "%s", wrong);
}

/* --- attributes of a bag --- */

static char *alias_of(PKCS12_SAFEBAG *bag)
{
	char *name = PKCS12_get_friendlyname(bag);
	char *copy = mem_strdup(name == NULL || !str_is_utf8(name, strlen(name)) ? "" : name);

	OPENSSL_free(name);
	return copy;
}

static bool is_trusted(PKCS12_SAFEBAG *bag)
{
	const STACK_OF(X509_ATTRIBUTE) *attrs = PKCS12_SAFEBAG_get0_attrs(bag);
	int i;

	for (i = 0; i < sk_X509_ATTRIBUTE_num(attrs); i++) {
		char oid[64] = "";

		(void)OBJ_obj2txt(oid, sizeof(oid),
				  X509_ATTRIBUTE_get0_object(sk_X509_ATTRIBUTE_value(attrs, i)), 1);
		if (strcmp(oid, JAVA_TRUSTED) == 0)
			return true;
	}
	return false;
}

static ASN1_TYPE *key_id_of(PKCS12_SAFEBAG *bag)
{
	return (ASN1_TYPE *)(uintptr_t)PKCS12_SAFEBAG_get0_attr(bag, NID_localKeyID);
}

/* --- bags --- */

static int take_key(struct der_walk *w, PKCS12_SAFEBAG *bag, struct err *e)
{
	const char *password = tls_key_password(w->from);
	bool shrouded = PKCS12_SAFEBAG_get_nid(bag) == NID_pkcs8ShroudedKeyBag;
	char *alias = alias_of(bag);
	PKCS8_PRIV_KEY_INFO *info = NULL;
	EVP_PKEY *key = NULL;
	int rc = 0;

	if (w->keys && keystore_wants(w->from, alias)) {
		const X509_ALGOR *algorithm = NULL;

		if (shrouded) {
			X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, NULL);
			rc = tls_check_cost(algorithm, e);
		}
		if (rc == 0 && shrouded)
			info = PKCS12_decrypt_skey_ex(bag, password, (int)strlen(password), w->lib,
						      NULL);
		if (rc == 0 && shrouded && info == NULL)
			rc = decrypt_err(e, "a key cannot be decrypted: wrong keyPassword");
		if (rc == 0) {
			key = EVP_PKCS82PKEY(shrouded ? info : PKCS12_SAFEBAG_get0_p8inf(bag));
			if (key == NULL)
				rc = tls_openssl_err(e, "a key cannot be read");
		}
		PKCS8_PRIV_KEY_INFO_free(info);
	}
	if (rc < 0) {
		mem_free(alias);
		return rc;
	}
	w->key = mem_grow(w->key, &w->cap_keys, w->n_keys + 1, sizeof(*w->key));
	w->key[w->n_keys++] = (struct p12_key){ key, alias, key_id_of(bag) };
	return 0;
}

static int take_cert(struct der_walk *w, PKCS12_SAFEBAG *bag, struct err *e)
{
	X509 *x;

	if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
		return 0;
	x = PKCS12_SAFEBAG_get1_cert(bag);
	if (x == NULL)
		return tls_openssl_err(e, "a certificate cannot be read");
	w->certs = mem_grow(w->certs, &w->cap_certs, w->n_certs + 1, sizeof(*w->certs));
	w->certs[w->n_certs++] =
		(struct p12_cert){ x, alias_of(bag), is_trusted(bag), key_id_of(bag) };
	return 0;
}

static int walk_bags(struct der_walk *w, const STACK_OF(PKCS12_SAFEBAG) * bags, unsigned depth,
		     struct err *e)
{
	int rc = 0;
	int i;

	if (depth > NESTING)
		return err_set(e, ERR_LIMIT, "is nested too deeply");
	for (i = 0; rc == 0 && i < sk_PKCS12_SAFEBAG_num(bags); i++) {
		PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, i);

		if (++w->n_bags > KEYSTORE_ENTRIES)
			return err_set(e, ERR_LIMIT, "holds more than %u entries",
				       KEYSTORE_ENTRIES);
		switch (PKCS12_SAFEBAG_get_nid(bag)) {
		case NID_keyBag:
		case NID_pkcs8ShroudedKeyBag:
			rc = take_key(w, bag, e);
			break;
		case NID_certBag:
			rc = take_cert(w, bag, e);
			break;
		case NID_safeContentsBag:
			rc = walk_bags(w, PKCS12_SAFEBAG_get0_safes(bag), depth + 1, e);
			break;
		default: /* secret keys and CRLs are no concern of ours */
			break;
		}
	}
	return rc;
}

static int open_encrypted(struct der_walk *w, PKCS7 *p7, STACK_OF(PKCS12_SAFEBAG) * *out,
			  struct err *e)
{
	const PKCS7_ENC_CONTENT *c = p7->d.encrypted == NULL ? NULL : p7->d.encrypted->enc_data;
	const char *password = w->from->password;
	int rc;

	if (c == NULL || c->enc_data == NULL || c->algorithm == NULL)
		return err_set(e, ERR_CONFIG, "is damaged");
	rc = tls_check_cost(c->algorithm, e);
	if (rc < 0)
		return rc;
	*out = PKCS12_item_decrypt_d2i_ex(c->algorithm, ASN1_ITEM_rptr(PKCS12_SAFEBAGS), password,
					  (int)strlen(password), c->enc_data, 1, w->lib, NULL);
	return *out == NULL ? decrypt_err(e, "wrong password, or the file is damaged") : 0;
}

static int walk_safe(struct der_walk *w, PKCS7 *p7, struct err *e)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	int rc = 0;

	if (PKCS7_type_is_encrypted(p7)) {
		rc = open_encrypted(w, p7, &bags, e);
	} else if (PKCS7_type_is_data(p7)) {
		bags = PKCS12_unpack_p7data(p7);
		if (bags == NULL)
			rc = tls_openssl_err(e, "is damaged");
	} else {
		rc = err_set(e, ERR_CONFIG, "is encrypted for a certificate, which is not read");
	}
	if (rc < 0)
		return rc;
	w->safes[w->n_safes++] = bags;
	return walk_bags(w, bags, 0, e);
}

/* --- what the bags make together --- */

static bool same_id(const ASN1_TYPE *a, const ASN1_TYPE *b)
{
	return a != NULL && b != NULL && ASN1_TYPE_cmp(a, b) == 0;
}

/* The certificate of a key: by localKeyID, or the one that fits. */
static X509 *leaf_of(const struct der_walk *w, const struct p12_key *key)
{
	size_t i;

	for (i = 0; i < w->n_certs; i++)
		if (same_id(key->key_id, w->certs[i].key_id))
			return w->certs[i].cert;
	for (i = 0; key->key != NULL && i < w->n_certs; i++) {
		if (X509_check_private_key(w->certs[i].cert, key->key) == 1)
			return w->certs[i].cert;
		ERR_clear_error();
	}
	return NULL;
}

static X509 *issuer_of(const struct der_walk *w, X509 *x)
{
	size_t i;

	if (X509_check_issued(x, x) == X509_V_OK)
		return NULL;
	for (i = 0; i < w->n_certs; i++)
		if (X509_check_issued(w->certs[i].cert, x) == X509_V_OK)
			return w->certs[i].cert;
	return NULL;
}

static int add_identity(struct der_walk *w, struct p12_key *key, struct keystore *k, struct err *e)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *x = leaf_of(w, key);
	const struct store_item item = { key->alias, key->key, chain };

	CHECK(chain != NULL);
	while (x != NULL && sk_X509_num(chain) < (int)KEYSTORE_CHAIN) {
		CHECK(X509_up_ref(x) == 1 && sk_X509_push(chain, x) > 0);
		x = issuer_of(w, x);
	}
	key->key = NULL;
	key->alias = NULL;
	return keystore_add(k, KEYSTORE_KEYS, &item, e);
}

static int add_all(struct der_walk *w, struct keystore *k, struct err *e)
{
	bool any = false;
	size_t i;
	int rc = 0;

	for (i = 0; i < w->n_certs; i++)
		any = any || w->certs[i].trusted;
	for (i = 0; rc == 0 && i < w->n_keys; i++)
		rc = add_identity(w, &w->key[i], k, e);
	for (i = 0; rc == 0 && i < w->n_certs; i++) {
		struct p12_cert *c = &w->certs[i];

		if (!c->trusted && (any || w->n_keys > 0))
			continue;
		rc = keystore_add_cert(k, c->alias, c->cert, e);
		c->alias = NULL;
		c->cert = NULL;
	}
	return rc;
}

static void free_walk(struct der_walk *w)
{
	size_t i;

	for (i = 0; i < w->n_keys; i++) {
		EVP_PKEY_free(w->key[i].key);
		mem_free(w->key[i].alias);
	}
	for (i = 0; i < w->n_certs; i++) {
		X509_free(w->certs[i].cert);
		mem_free(w->certs[i].alias);
	}
	for (i = 0; i < w->n_safes; i++)
		sk_PKCS12_SAFEBAG_pop_free(w->safes[i], PKCS12_SAFEBAG_free);
	mem_free(w->key);
	mem_free(w->certs);
}

/* --- the file --- */

/* Java writes lists of certificates without a sum; what holds keys has one. */
static int check_mac(PKCS12 *p12, const Ipc__TlsStore *from, enum keystore_use use, struct err *e)
{
	const ASN1_INTEGER *rounds = NULL;
	const char *password = from->password;

	if (!PKCS12_mac_present(p12))
		return use == KEYSTORE_TRUST
			       ? 0
			       : err_set(e, ERR_CONFIG,
					 "has no integrity check, which a keystore needs; make it "
					 "anew with keytool -importkeystore");
	PKCS12_get0_mac(NULL, NULL, NULL, &rounds, p12);
	if (rounds != NULL && !few(rounds))
		return err_set(e, ERR_LIMIT, "asks for more than %d iterations",
			       KEYSTORE_ITERATIONS);
	if (PKCS12_verify_mac(p12, password, (int)strlen(password)) == 1 ||
	    (password[0] == '\0' && PKCS12_verify_mac(p12, NULL, 0) == 1))
		return 0;
	return decrypt_err(e, password[0] == '\0' ? "wrong password: there is none"
						  : "wrong password, or the file is damaged");
}

static int walk_file(struct der_walk *w, PKCS12 *p12, struct err *e)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	int n = sk_PKCS7_num(safes);
	int rc = 0;
	int i;

	if (safes == NULL)
		return tls_openssl_err(e, "is damaged");
	if (n > (int)KEYSTORE_CHAIN)
		rc = err_set(e, ERR_LIMIT, "holds more than %u safes", KEYSTORE_CHAIN);
	for (i = 0; rc == 0 && i < n; i++)
		rc = walk_safe(w, sk_PKCS7_value(safes, i), e);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	return rc;
}

int pkcs12_read(struct keystore *k, const Ipc__TlsStore *from, enum keystore_use use,
		const uint8_t *p, size_t n, struct err *e)
{
	struct der_walk w = { .from = from, .keys = use == KEYSTORE_KEYS };
	PKCS12 *p12 = d2i_PKCS12(NULL, &p, (long)n);
	int rc;

	if (p12 == NULL) {
		ERR_clear_error();
		return err_set(e, ERR_CONFIG, "is no PKCS12 store, or a damaged one");
	}
	CHECK(pthread_once(&lib_once, make_lib) == 0);
	w.lib = lib;
	rc = check_mac(p12, from, use, e);
	if (rc == 0)
		rc = walk_file(&w, p12, e);
	if (rc == 0)
		rc = add_all(&w, k, e);
	free_walk(&w);
	PKCS12_free(p12);
	return rc;
}
