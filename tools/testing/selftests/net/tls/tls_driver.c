// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tls_common.h"
#include "tls_driver.h"

#define DIR "/sys/module/gcm_test/parameters/"

int tls_driver_load(const char *parameters)
{
	const char *dir = getenv("TLS_TEST_MODULES");
	char command[512];

	if (geteuid())
		return -1;
	/* One that a test has left behind is used by nobody. */
	if (!access(DIR, F_OK) && tls_driver_unload())
		return -1;
	snprintf(command, sizeof(command),
		 "modprobe -q gcm_test %s || insmod %s/gcm_test.ko %s",
		 parameters, dir ? dir : ".", parameters);
	return system(command) || access(DIR, F_OK) ? -1 : 0;
}

int tls_driver_unload(void)
{
	int i;

	/* Nothing of a closed socket keeps it busy for long. */
	for (i = 0; i < 100; i++) {
		usleep(i * 1000);
		if (!system("rmmod gcm_test 2>/dev/null"))
			return 0;
	}
	return tls_wrong("gcm_test cannot be unloaded");
}

int tls_driver_set(const char *parameter, int value)
{
	char path[128];
	FILE *f;
	int err;

	snprintf(path, sizeof(path), DIR "%s", parameter);
	f = fopen(path, "w");
	if (!f)
		return tls_wrong("no %s", path);
	err = fprintf(f, "%d\n", value) < 0;
	err |= fclose(f);
	return err ? tls_wrong("%s does not take %d", path, value) : 0;
}

int tls_driver_get(const char *parameter)
{
	char path[128];
	int value = -1;
	FILE *f;

	snprintf(path, sizeof(path), DIR "%s", parameter);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%d", &value) != 1)
			value = -1;
		fclose(f);
	}
	return value;
}

int tls_driver_wait(int requests)
{
	int i;

	for (i = 0; i < 5000; i++) {
		if (tls_driver_get("requests") >= requests)
			return 0;
		usleep(1000);
	}
	return tls_wrong("%d requests, not %d", tls_driver_get("requests"), requests);
}
