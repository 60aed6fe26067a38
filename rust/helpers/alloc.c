// SPDX-License-Identifier: GPL-2.0
/* What Rust's alloc crate asks for, in a module of tests: memory of the kernel. */

#include <linux/align.h>
#include <linux/panic.h>
#include <linux/slab.h>

/* rustc defines these where it links programs. */
const u8 __rust_no_alloc_shim_is_unstable;
const u8 __rust_alloc_error_handler_should_panic;

/* The size is a multiple of the alignment, or a power of two is large enough. */
void *__rust_alloc(size_t size, size_t align)
{
	return kmalloc(ALIGN(size, align), GFP_KERNEL);
}

void *__rust_alloc_zeroed(size_t size, size_t align)
{
	return kzalloc(ALIGN(size, align), GFP_KERNEL);
}

void *__rust_realloc(void *old, size_t old_size, size_t align, size_t size)
{
	return krealloc(old, ALIGN(size, align), GFP_KERNEL);
}

void __rust_dealloc(void *memory, size_t size, size_t align)
{
	kfree(memory);
}

void __noreturn __rust_alloc_error_handler(size_t size, size_t align)
{
	panic("no memory for a test: %zu bytes\n", size);
}
