// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/uri.c libcommon/uri_parse.c libcommon/uri_nvme.c libcommon/uri_iscsi.c libcommon/uri_nbd.c */
#include "uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#define NQN	"nqn.2014-08.org.nvmexpress:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427"

START_TEST(nvme_tcp_forms)
{
	static const struct {
		const char *text, *host;
		unsigned int port;
		const char *nqn;
		uint32_t nsid;
	} good[] = {
		{ "nvme-tcp://10.0.0.1/" NQN, "10.0.0.1", 4420, NQN, 0 },
		{ "nvme-tcp://10.0.0.1:8009/" NQN, "10.0.0.1", 8009, NQN, 0 },
		{ "nvme-tcp://10.0.0.1:1/nqn.a", "10.0.0.1", 1, "nqn.a", 0 },
		{ "nvme-tcp://10.0.0.1:65535/nqn.a", "10.0.0.1", 65535, "nqn.a", 0 },
		{ "nvme-tcp://[fd00::1]/nqn.a", "fd00::1", 4420, "nqn.a", 0 },
		{ "nvme-tcp://[::ffff:10.0.0.1]:5/nqn.a", "::ffff:10.0.0.1", 5, "nqn.a", 0 },
		{ "nvme-tcp://image-store/nqn.a", "image-store", 4420, "nqn.a", 0 },
		{ "nvme-tcp://a.b_c.example:77/nqn.a", "a.b_c.example", 77, "nqn.a", 0 },
		{ "nvme-tcp://10.example/nqn.a", "10.example", 4420, "nqn.a", 0 },
		{ "nvme-tcp://h/nqn.a?nsid=1", "h", 4420, "nqn.a", 1 },
		{ "nvme-tcp://h/nqn.a?nsid=007", "h", 4420, "nqn.a", 7 },
		{ "nvme-tcp://h/nqn.a?nsid=4294967294", "h", 4420, "nqn.a", 0xfffffffe },
		{ "nvme-tcp://h/nqn.a/b:c", "h", 4420, "nqn.a/b:c", 0 },
		{ "nvme-tcp://h/nqn.a%3f%3Db%25", "h", 4420, "nqn.a?=b%", 0 },
		{ "nvme-tcp://h/%6eqn.a", "h", 4420, "nqn.a", 0 },
	};
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(!sluice_uri_parse(good[i].text, &uri, why, sizeof(why)), "%s: %s",
			      good[i].text, why);
		ck_assert_int_eq(uri.kind, SLUICE_URI_NVME_TCP);
		ck_assert_str_eq(uri.host, good[i].host);
		ck_assert_uint_eq(uri.port, good[i].port);
		ck_assert_str_eq(uri.nqn, good[i].nqn);
		ck_assert_uint_eq(uri.nsid, good[i].nsid);
		ck_assert_str_eq(uri.path, "");
	}
}
END_TEST

START_TEST(file_forms)
{
	static const struct {
		const char *text, *path;
	} good[] = {
		{ "file:/srv/image.raw", "/srv/image.raw" },
		{ "file:///srv/image.raw", "/srv/image.raw" },
		{ "file:/dev/disk/by-id/x", "/dev/disk/by-id/x" },
		{ "file:/a b%20c?d#e", "/a b%20c?d#e" },
		{ "file:////a", "//a" },
	};
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(!sluice_uri_parse(good[i].text, &uri, why, sizeof(why)), "%s: %s",
			      good[i].text, why);
		ck_assert_int_eq(uri.kind, SLUICE_URI_FILE);
		ck_assert_str_eq(uri.path, good[i].path);
		ck_assert_str_eq(uri.host, "");
		ck_assert_str_eq(uri.nqn, "");
		ck_assert_uint_eq(uri.port, 0);
	}
}
END_TEST

START_TEST(nvme_ids)
{
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];

	ck_assert(!sluice_uri_parse("nvme-tcp://h/nqn.a?uuid=1B4E28BA-2fa1-11d2-883f-0016d3cca427",
				    &uri, why, sizeof(why)));
	ck_assert_str_eq(uri.uuid, "1b4e28ba2fa111d2883f0016d3cca427");
	ck_assert_str_eq(uri.nguid, "");
	ck_assert(!sluice_uri_parse("nvme-tcp://h/nqn.a?nguid=1b4e28ba2fa111d2883f0016d3cca427",
				    &uri, why, sizeof(why)));
	ck_assert_str_eq(uri.nguid, "1b4e28ba2fa111d2883f0016d3cca427");
	ck_assert_uint_eq(uri.nsid, 0);
}
END_TEST

START_TEST(nvme_protection)
{
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];

	ck_assert(!sluice_uri_parse("nvme-tcp://h/nqn.a?nsid=2&data-digest=crc32c", &uri, why,
				    sizeof(why)));
	ck_assert(uri.data_digest && !uri.header_digest && !uri.tls);
	ck_assert_uint_eq(uri.nsid, 2);
	ck_assert(!sluice_uri_parse("nvme-tcp://h/nqn.a?tls=psk&header-digest=crc32c&data-digest=none",
				    &uri, why, sizeof(why)));
	ck_assert(!uri.data_digest && uri.header_digest && uri.tls);
	ck_assert(!sluice_uri_parse("nvme-tcp://h/nqn.a", &uri, why, sizeof(why)));
	ck_assert(!uri.data_digest && !uri.header_digest && !uri.tls);
}
END_TEST

START_TEST(iscsi_forms)
{
	static const struct {
		const char *text, *user, *host;
		unsigned int port;
		const char *iqn;
		uint32_t lun;
		bool digest;
	} good[] = {
		{ "iscsi://10.0.0.1/iqn.2001-04.com.example:a/0", "", "10.0.0.1", 3260,
		  "iqn.2001-04.com.example:a", 0, true },
		{ "iscsi://card@[fd00::1]:860/eui.02004567A425678D/16383", "card", "fd00::1", 860,
		  "eui.02004567A425678D", 16383, true },
		{ "iscsi://a%40b@h/iqn.x/1?header-digest=none", "a@b", "h", 3260, "iqn.x", 1,
		  false },
		{ "iscsi://h/naa.x%3ay/1?header-digest=crc32c", "", "h", 3260, "naa.x:y", 1,
		  true },
	};
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(!sluice_uri_parse(good[i].text, &uri, why, sizeof(why)), "%s: %s",
			      good[i].text, why);
		ck_assert_int_eq(uri.kind, SLUICE_URI_ISCSI);
		ck_assert_str_eq(uri.user, good[i].user);
		ck_assert_str_eq(uri.host, good[i].host);
		ck_assert_uint_eq(uri.port, good[i].port);
		ck_assert_str_eq(uri.iqn, good[i].iqn);
		ck_assert_uint_eq(uri.lun, good[i].lun);
		ck_assert_int_eq(uri.header_digest, good[i].digest);
	}
}
END_TEST

START_TEST(nbd_forms)
{
	static const struct {
		const char *text, *user, *host;
		unsigned int port;
		const char *export;
		bool tls;
		const char *certificates, *psk_file, *path;
	} good[] = {
		{ "nbd://h", "", "h", 10809, "", false, "", "", "" },
		{ "nbd://h/", "", "h", 10809, "", false, "", "", "" },
		{ "nbd://[fd00::1]:7/a/b%3fc", "", "fd00::1", 7, "a/b?c", false, "", "", "" },
		{ "nbd://h/de%20bian", "", "h", 10809, "de bian", false, "", "", "" },
		{ "nbds://card@h/x?tls-psk-file=/k", "card", "h", 10809, "x", true, "", "/k", "" },
		{ "nbds://h?tls-certificates=/c", "", "h", 10809, "", true, "/c", "", "" },
		{ "nbd+unix:///?socket=/s", "", "", 0, "", false, "", "", "/s" },
		{ "nbd+unix:///x?socket=/s%26t", "", "", 0, "x", false, "", "", "/s&t" },
	};
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(!sluice_uri_parse(good[i].text, &uri, why, sizeof(why)), "%s: %s",
			      good[i].text, why);
		ck_assert_int_eq(uri.kind, SLUICE_URI_NBD);
		ck_assert_str_eq(uri.user, good[i].user);
		ck_assert_str_eq(uri.host, good[i].host);
		ck_assert_uint_eq(uri.port, good[i].port);
		ck_assert_str_eq(uri.export, good[i].export);
		ck_assert_int_eq(uri.tls, good[i].tls);
		ck_assert_str_eq(uri.certificates, good[i].certificates);
		ck_assert_str_eq(uri.psk_file, good[i].psk_file);
		ck_assert_str_eq(uri.path, good[i].path);
	}
}
END_TEST

/* Each with a part of the one sentence it is to give. */
START_TEST(refusals)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "", "is empty" },
		{ "/dev/vda", "is not a source" },
		{ ":x", "is not a source" },
		{ "http://h/x", "\"http\" is unknown" },
		{ "NVME-TCP://h/nqn.a", "\"NVME-TCP\" is unknown" },
		{ "nvme-rdma://h/nqn.a", "\"nvme-rdma\" is unknown" },
		{ "nvme-tcp:/h/nqn.a", "not followed by" },
		{ "nvme-tcp:", "not followed by" },
		{ "nvme-tcp://h/nqn.a\n", "control character" },
		{ "file:/a\033[31m", "control character" },
		{ "nvme-tcp://", "no address after" },
		{ "nvme-tcp:///nqn.a", "no address after" },
		{ "nvme-tcp://:4420/nqn.a", "before the port is empty" },
		{ "nvme-tcp://root@h/nqn.a", "user name" },
		{ "nvme-tcp://u:p@h/nqn.a", "user name" },
		{ "nvme-tcp://fd00::1/nqn.a", "into brackets" },
		{ "nvme-tcp://h:1:2/nqn.a", "into brackets" },
		{ "nvme-tcp://[fd00::1/nqn.a", "closing" },
		{ "nvme-tcp://[]/nqn.a", "between" },
		{ "nvme-tcp://[10.0.0.1]/nqn.a", "not an IPv6 address" },
		{ "nvme-tcp://[fd00::g]/nqn.a", "not an IPv6 address" },
		{ "nvme-tcp://[fd00::1]4420/nqn.a", "may follow" },
		{ "nvme-tcp://10.0.0.300/nqn.a", "not an IPv4 address" },
		{ "nvme-tcp://10.0.1/nqn.a", "not an IPv4 address" },
		{ "nvme-tcp://1/nqn.a", "not an IPv4 address" },
		{ "nvme-tcp://-h/nqn.a", "not a valid host name" },
		{ "nvme-tcp://h-/nqn.a", "not a valid host name" },
		{ "nvme-tcp://a..b/nqn.a", "not a valid host name" },
		{ "nvme-tcp://.h/nqn.a", "not a valid host name" },
		{ "nvme-tcp://h%41/nqn.a", "not a valid host name" },
		{ "nvme-tcp://h h/nqn.a", "not a valid host name" },
		{ "nvme-tcp://h:/nqn.a", "after \":\" is empty" },
		{ "nvme-tcp://h:0/nqn.a", "not a port" },
		{ "nvme-tcp://h:65536/nqn.a", "not a port" },
		{ "nvme-tcp://h:99999999999999999999/nqn.a", "not a port" },
		{ "nvme-tcp://h:-1/nqn.a", "not a port" },
		{ "nvme-tcp://h:+1/nqn.a", "not a port" },
		{ "nvme-tcp://h:0x1/nqn.a", "not a port" },
		{ "nvme-tcp://[::1]:http/nqn.a", "not a port" },
		{ "nvme-tcp://h", "no NQN" },
		{ "nvme-tcp://h/", "no NQN" },
		{ "nvme-tcp://h?nsid=1", "no NQN" },
		{ "nvme-tcp://h/?nsid=1", "no NQN" },
		{ "nvme-tcp://h/iqn.a", "does not start with" },
		{ "nvme-tcp://h/NQN.a", "does not start with" },
		{ "nvme-tcp://h/nqn", "does not start with" },
		{ "nvme-tcp://h/nqn.", "does not start with" },
		{ "nvme-tcp://h//nqn.a", "does not start with" },
		{ "nvme-tcp://h/nqn.a b", "a space" },
		{ "nvme-tcp://h/nqn.a%20b", "a space" },
		{ "nvme-tcp://h/nqn.a%00", "a control character" },
		{ "nvme-tcp://h/nqn.a%7f", "a control character" },
		{ "nvme-tcp://h/nqn.\xc3\xa9", "outside ASCII" },
		{ "nvme-tcp://h/nqn.a%", "two hexadecimal" },
		{ "nvme-tcp://h/nqn.a%2", "two hexadecimal" },
		{ "nvme-tcp://h/nqn.a%2?nsid=1", "two hexadecimal" },
		{ "nvme-tcp://h/nqn.a%g0", "two hexadecimal" },
		{ "nvme-tcp://h/nqn.a#b", "no \"#\" part" },
		{ "nvme-tcp://h/nqn.a?", "nothing after" },
		{ "nvme-tcp://h/nqn.a?nsid", "has no value" },
		{ "nvme-tcp://h/nqn.a?nsid=", "has no value" },
		{ "nvme-tcp://h/nqn.a?nsid=&nsid=1", "has no value" },
		{ "nvme-tcp://h/nqn.a?=1", "without a name" },
		{ "nvme-tcp://h/nqn.a?nsid=1&", "without a name" },
		{ "nvme-tcp://h/nqn.a?&nsid=1", "without a name" },
		{ "nvme-tcp://h/nqn.a?nsid=1&nsid=1", "twice" },
		{ "nvme-tcp://h/nqn.a?eui=1", "\"eui\" is unknown" },
		{ "nvme-tcp://h/nqn.a?uuid=1", "no UUID" },
		{ "nvme-tcp://h/nqn.a?uuid=00000000-0000-0000-0000-000000000000", "no UUID" },
		{ "nvme-tcp://h/nqn.a?uuid=1b4e28ba-2fa1-11d2-883f-0016d3cca4270", "no UUID" },
		{ "nvme-tcp://h/nqn.a?nguid=1b4e28ba2fa111d2883f0016d3cca42g", "no NGUID" },
		{ "nvme-tcp://h/nqn.a?data-digest=md5", "data-digest is crc32c or none" },
		{ "nvme-tcp://h/nqn.a?header-digest=", "no value" },
		{ "nvme-tcp://h/nqn.a?tls=yes", "tls is psk" },
		{ "nvme-tcp://h/nqn.a?nsid=1&uuid=1b4e28ba-2fa1-11d2-883f-0016d3cca427",
		  "not by several" },
		{ "nvme-tcp://h/nqn.a?nsid=1&x", "\"x\" is unknown" },
		{ "nvme-tcp://h/nqn.a?NSID=1", "\"NSID\" is unknown" },
		{ "nvme-tcp://h/nqn.a?nsid=0", "not a namespace identifier" },
		{ "nvme-tcp://h/nqn.a?nsid=4294967295", "not a namespace identifier" },
		{ "nvme-tcp://h/nqn.a?nsid=18446744073709551617", "not a namespace identifier" },
		{ "nvme-tcp://h/nqn.a?nsid=1x", "not a namespace identifier" },
		{ "nvme-tcp://h/nqn.a?nsid=-1", "not a namespace identifier" },
		{ "nvme-tcp://h/nqn.a?nsid=1=2", "not a namespace identifier" },
		{ "iscsi://h", "no target name" },
		{ "iscsi://h//0", "no target name" },
		{ "iscsi://h/iqn.a", "not a LUN" },
		{ "iscsi://h/iqn.a/", "not a LUN" },
		{ "iscsi://h/iqn.a/16384", "not a LUN" },
		{ "iscsi://h/iqn.a/0/1", "not a LUN" },
		{ "iscsi://h/iqn./0", "starts with none" },
		{ "iscsi://h/nqn.a/0", "starts with none" },
		{ "iscsi://h/iqn.a%2fb/0", "holds a" },
		{ "iscsi://u:secret@h/iqn.a/0", "takes no password" },
		{ "iscsi://@h/iqn.a/0", "no user name" },
		{ "iscsi://u@/iqn.a/0", "no address" },
		{ "iscsi://h/iqn.a/0#x", "no \"#\" part" },
		{ "iscsi://h/iqn.a/0?header-digest=md5", "not a digest" },
		{ "iscsi://h/iqn.a/0?lun=1", "only header-digest=crc32c|none is possible" },
		{ "nbd:h", "not followed by" },
		{ "nbd://u@h/x", "user name" },
		{ "nbd://h/x?tls-psk-file=/k", "none is possible" },
		{ "nbd://h/x%0a", "control character" },
		{ "nbd://h/x#y", "no \"#\" part" },
		{ "nbds://h/x", "whom to trust" },
		{ "nbds://h/x?tls-psk-file=k", "not absolute" },
		{ "nbds://h/x?tls-certificates=/c&tls-psk-file=/k", "not both" },
		{ "nbd+unix://h/x?socket=/s", "has no host" },
		{ "nbd+unix:///x", "socket is missing" },
		{ "nbd+unix:///x?socket=s", "not absolute" },
		{ "file:", "no path" },
		{ "file:image.raw", "not absolute" },
		{ "file://host/image.raw", "has no host" },
		{ "file://", "has no host" },
		{ "file:/", "is a directory" },
		{ "file:///", "is a directory" },
	};
	struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		ck_assert_msg(sluice_uri_parse(bad[i].text, &uri, why, sizeof(why)) == -EINVAL,
			      "%s is accepted", bad[i].text);
		ck_assert_msg(strstr(why, bad[i].part), "%s: %s", bad[i].text, why);
		ck_assert_msg(why[strlen(why) - 1] == '.', "%s: %s", bad[i].text, why);
	}
}
END_TEST

static int parse_repeated(const char *before, char c, size_t n, const char *after,
			  struct sluice_uri *uri, char *why, size_t why_len)
{
	char *text = malloc(strlen(before) + n + strlen(after) + 1);
	char *p = stpcpy(text, before);
	int err;

	memset(p, c, n);
	strcpy(p + n, after);
	err = sluice_uri_parse(text, uri, why, why_len);
	free(text);
	return err;
}

START_TEST(lengths)
{
	char why[SLUICE_URI_WHY_LEN];
	struct sluice_uri uri;

	ck_assert_int_eq(parse_repeated("nvme-tcp://h/nqn.", 'a', 219, "", &uri, why,
					sizeof(why)), 0);
	ck_assert_uint_eq(strlen(uri.nqn), 223);
	ck_assert_int_eq(parse_repeated("nvme-tcp://h/nqn.", 'a', 220, "", &uri, why,
					sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "longer than 223"));

	ck_assert_int_eq(parse_repeated("nvme-tcp://", 'a', 63, "/nqn.a", &uri, why,
					sizeof(why)), 0);
	ck_assert_int_eq(parse_repeated("nvme-tcp://", 'a', 64, "/nqn.a", &uri, why,
					sizeof(why)), -EINVAL);
	ck_assert_int_eq(parse_repeated("nvme-tcp://", 'a', 100000, "/nqn.a", &uri, why,
					sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "longer than 253"));
	ck_assert_int_eq(parse_repeated("nvme-tcp://[", '1', 100000, "]/nqn.a", &uri, why,
					sizeof(why)), -EINVAL);
	ck_assert_int_eq(parse_repeated("nvme-tcp://h/nqn.a?", 'x', 100000, "", &uri, why,
					sizeof(why)), -EINVAL);

	ck_assert_int_eq(parse_repeated("file:/", 'a', PATH_MAX - 2, "", &uri, why,
					sizeof(why)), 0);
	ck_assert_uint_eq(strlen(uri.path), PATH_MAX - 1);
	ck_assert_int_eq(parse_repeated("file:/", 'a', PATH_MAX - 1, "", &uri, why,
					sizeof(why)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "longer than 4095"));
}
END_TEST

START_TEST(short_why)
{
	struct sluice_uri uri;
	char why[8];

	ck_assert_int_eq(sluice_uri_parse("x", &uri, NULL, 0), -EINVAL);
	ck_assert_int_eq(sluice_uri_parse("x", &uri, why, sizeof(why)), -EINVAL);
	ck_assert_uint_eq(strlen(why), 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uri");
	TCase *tcase = tcase_create("uri");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, nvme_tcp_forms);
	tcase_add_test(tcase, nvme_ids);
	tcase_add_test(tcase, nvme_protection);
	tcase_add_test(tcase, iscsi_forms);
	tcase_add_test(tcase, nbd_forms);
	tcase_add_test(tcase, file_forms);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, lengths);
	tcase_add_test(tcase, short_why);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
