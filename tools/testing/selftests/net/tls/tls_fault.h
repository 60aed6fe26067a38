/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that the kernel does not get: fault injection, for the calling thread
 * and for one allocation (or one access to user memory) of a system call.
 */
#ifndef TLS_FAULT_H
#define TLS_FAULT_H

#include <stdbool.h>

/* Ready the kernel. Returns 0 or an errno value; then the kernel cannot do it. */
int tls_fault_open(void);
void tls_fault_close(void);

/* From here on, the nth allocation of this thread fails. */
void tls_fault_arm(unsigned int nth);
/* Stop. Returns whether one has failed. Leaves errno as it was. */
bool tls_fault_disarm(void);

/* What a system call may say that did not get its memory. */
bool tls_fault_errno(int err);

/*
 * Run what follows once for each allocation of the call in it, that allocation
 * failing, and at last with none that fails. What follows says tls_fault_armed()
 * exactly once; fault->hit then says if something has failed.
 */
struct tls_fault {
	unsigned int nth;
	bool hit;
};

/* More allocations than any call makes: a loop that comes here has gone wrong. */
#define TLS_FAULT_MAX	2000

#define tls_for_each_fault(fault) \
	for (*(fault) = (struct tls_fault){ 1, true }; \
	     (fault)->hit && (fault)->nth <= TLS_FAULT_MAX; (fault)->nth++)

#define tls_fault_armed(fault, call) ({ \
	__typeof__(call) _result; \
	errno = 0; \
	tls_fault_arm((fault)->nth); \
	_result = (call); \
	(fault)->hit = tls_fault_disarm(); \
	_result; \
})

#endif /* TLS_FAULT_H */
