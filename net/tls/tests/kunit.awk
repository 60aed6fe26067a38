# SPDX-License-Identifier: GPL-2.0
#
# Makes of the host's unit tests what KUnit can run: reads main.rs and prints, with
#
#	-v what=tests	a crate of all of it, in which the tests are functions that can be called,
#	-v what=suites	one suite for each file that has tests, to call them.
#
# Modules and tests below a comment "Only on the host:" are left out. The crate has no std: the
# prelude of that is put together from core and alloc. Paths begin with that of main.rs, since
# what is printed may go elsewhere.

function dirname(path)
{
	return substr(path, 1, match(path, /[^\/]*$/) - 1)
}

# One module, from its file.
function inline(name, file,    line, host, test, n, tests, i)
{
	out("pub mod " name " {")
	while ((getline line < file) > 0) {
		if (line ~ /^\/\/!/)
			continue
		if (line ~ /^\/\/ Only on the host:/)
			host = 1
		if (line ~ /^#\[test\]/) {
			test = !host
			host = 0
			continue
		}
		if (test && match(line, /^fn [a-z0-9_]+/)) {
			tests[++n] = substr(line, 4, RLENGTH - 3)
			line = "pub " line
			test = 0
		}
		sub(/include_str!\("/, "&" dirname(file), line)
		out(line)
	}
	close(file)
	out("}")
	if (what != "suites" || !n)
		return
	suite = name
	sub(/_tests$/, "", suite)
	print "#[kernel::macros::kunit_tests(tls_" suite ")]"
	print "mod " suite " {"
	for (i = 1; i <= n; i++)
		print "#[test] fn " tests[i] "() { kunit_tests::" name "::" tests[i] "() }"
	print "}"
}

function out(line)
{
	if (what == "tests")
		print line
}

BEGIN {
	out("#![no_std]")
	out("#![feature(prelude_import)]")
	out("#[prelude_import]")
	out("use crate::hosted::*;")
	out("mod hosted {")
	out("	pub use ::alloc::{borrow::ToOwned, boxed::Box, format, string::{String, ToString}, vec, vec::Vec};")
	out("	pub use core::prelude::rust_2021::*;")
	out("	pub mod std {")
	out("		pub use ::alloc::{borrow, boxed, collections, format, rc, string, sync, vec};")
	out("		pub use core::{array, cell, cmp, convert, fmt, hash, iter, mem, num, ops, slice, str};")
	out("	}")
	out("}")
}

/^\/\/!/ { next }
/^\/\/ Only on the host:/ { skip = 1; next }
/^#\[path = / { path = $3; gsub(/[]"]/, "", path); next }
/^mod / {
	name = $2
	sub(/;/, "", name)
	if (skip) {
		skip = 0
	} else if (path ~ /^\.\.\//) {
		out("#[path = \"" dirname(FILENAME) path "\"]")
		out($0)
	} else {
		inline(name, dirname(FILENAME) (path ? path : name ".rs"))
	}
	path = ""
	next
}
{ out($0) }
