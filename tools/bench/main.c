// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the instructions of TLS operations. It has to run in a machine with one CPU
 * whose time stamp counter counts instructions; see tools/bench/run.
 *
 * The output is lines of words with tabs between them:
 *	case NAME MAIN SUITE SIZE SEALED OPENED	with the AEAD calls of an operation
 *	result NAME KIND OPERATIONS BATCH...	instructions per operation, batch by batch
 *	wire NAME HASH				what was sent
 *	memory NAME KIND WHEN SLAB OTHER		bytes per socket
 *	error NAME KIND WHAT
 */
#include <getopt.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"

static const char *const kinds[] = { "tcp", "tls", "openssl" };

unsigned int profile_half;
static unsigned int batches = 21;
static const char *current_test, *current_kind;

void fail_begin(void)
{
	printf("error\t%s\t%s\t", current_test, current_kind);
}

void fail_end(void)
{
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static void on_alarm(int signal)
{
	fail("it hangs");
}

static void describe(const struct test *test)
{
	size_t record = test->size < RECORD ? test->size : RECORD;
	size_t records = record ? test->size / record : 0;
	bool rx = test->what == RX || test->what == RX_SPLICE;
	bool both = test->what == REQUEST;

	printf("case\t%s\t%d\t%s\t%zu\t%zu\t%zu\n", test->name, test->quick, test->suite->name,
	       record + (test->version == TLS_1_3_VERSION),
	       both ? 2 : rx ? 0 : records, both ? 2 : rx ? records : 0);
}

static void measure(const struct test *test, enum kind kind)
{
	unsigned int operations, i, half = profile_half;
	struct run run;
	uint64_t start;

	run_open(&run, test, kind);
	operations = run.steps * test->bulk;

	/* The first batches are for the connection to warm up. */
	profile_half = 0;
	for (i = 0; i < 8; i++) {
		run.checking = i == 0 && kind != KIND_OPENSSL;
		run_prepare(&run);
		run_batch(&run);
		run_verify(&run);
	}
	profile_half = half;

	printf("result\t%s\t%s\t%u", test->name, kinds[kind], operations);
	for (i = 0; i < batches; i++) {
		run_prepare(&run);
		start = __rdtsc();
		run_batch(&run);
		printf("\t%.1f", (double)(__rdtsc() - start) / operations);
		run_verify(&run);
	}
	profile_ends();
	printf("\n");
}

/* In a process of its own, so that a case that fails is not the last one. */
static bool measure_apart(const struct test *test, enum kind kind, unsigned int connections)
{
	int status;
	pid_t pid;

	current_test = test->name;
	current_kind = kinds[kind];
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		signal(SIGALRM, on_alarm);
		/* Time flies while the guest waits for a busy host. */
		alarm(600);
		if (connections)
			memory_report(test, kind, kinds[kind], connections);
		else
			measure(test, kind);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		printf("error\t%s\t%s\tsignal %d\n", test->name, kinds[kind], WTERMSIG(status));
	return !status;
}

static int usage(void)
{
	fprintf(stderr,
		"bench [-k KIND]... [-f REGEX] [-q] [-b BATCHES] [-c CONNECTIONS] [-p HALF] [-l]\n"
		"	-k	tcp, tls (what is there if not said) or openssl\n"
		"	-f	only the cases whose name matches\n"
		"	-q	only those of the quick mode\n"
		"	-c	instead, memory of so many idle connections\n"
		"	-p	profile: 1 sending, 2 receiving, 3 both\n"
		"	-l	list the cases\n");
	return 2;
}

int main(int argc, char **argv)
{
	bool quick = false, list = false, good = true;
	unsigned int wanted = 0, connections = 0;
	struct test *tests;
	const char *filter = ".";
	size_t count, i;
	regex_t regex;
	int option, kind;

	current_test = "-";
	current_kind = "-";
	while ((option = getopt(argc, argv, "k:f:qb:c:p:l")) != -1) {
		switch (option) {
		case 'k':
			for (kind = KIND_OPENSSL; kind > 0 && strcmp(optarg, kinds[kind]);)
				kind--;
			wanted |= 1 << kind;
			break;
		case 'f':
			filter = optarg;
			break;
		case 'q':
			quick = true;
			break;
		case 'b':
			batches = atoi(optarg);
			break;
		case 'c':
			connections = atoi(optarg);
			break;
		case 'p':
			profile_half = atoi(optarg);
			break;
		case 'l':
			list = true;
			break;
		default:
			return usage();
		}
	}
	if (optind < argc || regcomp(&regex, filter, REG_EXTENDED | REG_NOSUB))
		return usage();

	tcp_listen();
	wanted = wanted ?: 1 << KIND_TLS;
	count = make_tests(&tests);
	for (i = 0; i < count; i++) {
		if ((quick && !tests[i].quick) || regexec(&regex, tests[i].name, 0, NULL, 0))
			continue;
		if (connections && (tests[i].what != REQUEST || !tests[i].quick))
			continue;
		if (!connections)
			describe(&tests[i]);
		for (kind = KIND_TCP; kind <= KIND_OPENSSL && !list; kind++)
			if (wanted & 1 << kind && run_possible(&tests[i], kind))
				good &= measure_apart(&tests[i], kind, connections);
	}
	tcp_mtu(65536);
	return !good;
}
