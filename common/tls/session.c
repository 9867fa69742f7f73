/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tls/session.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/tls/tls_internal.h"

#define PIECE_BYTES 16384 /* of one record */

struct tls_session {
	SSL *ssl;	 /* owned, with both BIOs */
	BIO *in;	 /* what came from the peer */
	BIO *out;	 /* what is to go to the peer */
	char *name;	 /* owned; for texts */
	size_t answered; /* bytes for the peer that reading made */
};

static bool is_address(const char *name)
{
	struct in6_addr v6;
	struct in_addr v4;

	return inet_pton(AF_INET, name, &v4) == 1 || inet_pton(AF_INET6, name, &v6) == 1;
}

static int expect_name(SSL *ssl, const struct tls_context *c, const char *name, struct err *e)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	bool address = is_address(name);

	if (!address && name[0] != '\0')
		/* SSL_set_tlsext_host_name(), whose cast clang refuses */
		CHECK(SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			       (void *)(uintptr_t)name) == 1);
	if (c->trust_all || c->any_name)
		return 0;
	if (name[0] == '\0' || name[0] == '.') /* with a dot OpenSSL takes all names below */
		return err_set(e, ERR_CONFIG,
			       "TLS: there is no name that the server's certificate "
			       "could be checked for");
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (address ? X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1
		    : X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
		return tls_openssl_err(e, "TLS: the server's name");
	return 0;
}

int tls_session_open(struct tls_session **out, const struct tls_context *c, const char *host,
		     struct err *e)
{
	struct tls_session *s = mem_zalloc(sizeof(*s));
	int rc;

	s->name = mem_strdup(c->name[0] != '\0' ? c->name : host);
	s->ssl = SSL_new(c->ctx);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	CHECK(s->ssl != NULL && s->in != NULL && s->out != NULL);
	(void)BIO_set_mem_eof_return(s->in, -1); /* empty means: not yet */
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_connect_state(s->ssl);
	rc = expect_name(s->ssl, c, s->name, e);
	if (rc < 0)
		tls_session_free(&s);
	else
		*out = s;
	return rc;
}

void tls_session_free(struct tls_session **sp)
{
	struct tls_session *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	SSL_free(s->ssl);
	mem_free(s->name);
	mem_free(s);
}

void tls_session_feed(struct tls_session *s, const void *p, size_t n)
{
	CHECK(n <= INT_MAX && BIO_write(s->in, p, (int)n) == (int)n);
}

/* What OpenSSL has for the peer; to be called after each step, or it would never go. */
static void drain(struct tls_session *s, struct buf *wire)
{
	char *p = NULL;
	long n = BIO_get_mem_data(s->out, &p);

	if (n > 0)
		buf_add(wire, p, (size_t)n);
	(void)BIO_reset(s->out);
}

/* The certificate is not what we want: what is wrong, and what would help. */
static int not_accepted(const struct tls_session *s, long why, struct err *e)
{
	const char *text = X509_verify_cert_error_string(why);

	switch (why) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return err_set(e, ERR_REMOTE,
			       "TLS: the server's certificate is not for `%.60s`; connect by a "
			       "name in it, or write hostnameVerificationAlgorithm: NONE",
			       s->name);
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return err_set(e, ERR_REMOTE, "TLS: the server's certificate is not accepted: %s",
			       text);
	default:
		return err_set(e, ERR_REMOTE,
			       "TLS: the server's certificate is not accepted: %s; set a "
			       "truststore, or trustAll: true (the reference accepts any unless "
			       "trustAll is false)",
			       text);
	}
}

static int failed(struct tls_session *s, struct err *e)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	long why = SSL_get_verify_result(s->ssl);
	const char *help = "";

	if (why != X509_V_OK && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE) {
		ERR_clear_error();
		return not_accepted(s, why, e);
	}
	switch (ERR_GET_REASON(code)) {
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		help = "; does the server want a certificate (keystore)?";
		break;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_UNEXPECTED_MESSAGE:
		help = "; does the server speak TLS at this port?";
		break;
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		help = ": the server does not accept the certificate of our keystore";
		break;
	default:
		break;
	}
	(void)err_set(e, ERR_REMOTE, "TLS: %s%s", reason == NULL ? "failed" : reason, help);
	ERR_clear_error();
	return ERR_REMOTE;
}

/* What a call that did not succeed means: 0, not now; else an error. */
static int outcome(struct tls_session *s, int ret, struct err *e)
{
	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return err_set(e, TLS_EOF, "connection lost: the server ended TLS");
	default:
		return failed(s, e);
	}
}

int tls_session_shake(struct tls_session *s, struct buf *wire, struct err *e)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(s->ssl);
	drain(s, wire);
	return ret == 1 ? 1 : outcome(s, ret, e);
}

int tls_session_read(struct tls_session *s, void *p, size_t n, struct buf *wire, struct err *e)
{
	size_t before = wire->len;
	int ret;

	ERR_clear_error();
	ret = SSL_read(s->ssl, p, (int)MIN(n, (size_t)INT_MAX));
	drain(s, wire); /* a key update is answered */
	s->answered += wire->len - before;
	if (s->answered > TLS_ANSWER_BYTES)
		return err_set(e, ERR_REMOTE, "TLS: the server asks for new keys without end");
	return ret > 0 ? ret : outcome(s, ret, e);
}

int tls_session_write(struct tls_session *s, const void *p, size_t n, struct buf *wire,
		      struct err *e)
{
	const char *at = p;

	while (n > 0) {
		int piece = (int)MIN(n, (size_t)PIECE_BYTES);
		int ret;

		ERR_clear_error();
		ret = SSL_write(s->ssl, at, piece);
		drain(s, wire);
		if (ret <= 0) {
			int rc = outcome(s, ret, e);

			return rc < 0 ? rc : err_set(e, ERR_REMOTE, "TLS: cannot write");
		}
		at += ret;
		n -= (size_t)ret;
	}
	return 0;
}

void tls_session_close(struct tls_session *s, struct buf *wire)
{
	ERR_clear_error();
	if (SSL_is_init_finished(s->ssl))
		(void)SSL_shutdown(s->ssl);
	drain(s, wire);
	ERR_clear_error();
}
