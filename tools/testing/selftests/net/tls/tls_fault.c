// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls_fault.h"

#define DEBUGFS "/sys/kernel/debug/"

static int fail_nth = -1;

static int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) < 0)
		err = errno;
	close(fd);
	return err;
}

int tls_fault_open(void)
{
	static const char * const settings[][2] = {
		/* Also what may sleep, and single pages; without a word. */
		{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "failslab/verbose", "0" },
		{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "fail_page_alloc/min-order", "0" },
		{ DEBUGFS "fail_page_alloc/verbose", "0" },
		{ DEBUGFS "fail_usercopy/verbose", "0" },
	};
	unsigned int i;
	int err;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		err = put(settings[i][0], settings[i][1]);
		if (err)
			return err;
	}
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	return fail_nth < 0 ? errno : 0;
}

void tls_fault_close(void)
{
	close(fail_nth);
	fail_nth = -1;
}

void tls_fault_arm(unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fail_nth, text, len, 0) != len)
		abort();
}

bool tls_fault_disarm(void)
{
	char text[16] = "";
	int err = errno, tries;
	bool hit;

	/* Both can be what fails. */
	hit = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
	for (tries = 0; pwrite(fail_nth, "0", 1, 0) != 1; tries++)
		if (tries == 10)
			abort();
	errno = err;
	return hit;
}

bool tls_fault_errno(int err)
{
	return err == ENOMEM || err == ENOBUFS || err == EFAULT;
}
