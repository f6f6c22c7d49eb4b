# SPDX-License-Identifier: LGPL-2.1-or-later

# VZ_FLAG(variable, flag, kind = compile|link)
# Appends the flag to the variable when the compiler takes it without a complaint.  -Werror makes clang say no
# where it would only warn about a flag that it does not know.
AC_DEFUN([VZ_FLAG], [
	AS_VAR_PUSHDEF([vz_ok], [vz_cv_flag_$2])
	AC_CACHE_CHECK([whether $CC takes $2], [vz_ok], [
		vz_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror $2"
		m4_if([$3], [link],
			[AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([vz_ok], [yes])], [AS_VAR_SET([vz_ok], [no])])],
			[AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([vz_ok], [yes])], [AS_VAR_SET([vz_ok], [no])])])
		CFLAGS=$vz_save_CFLAGS
	])
	AS_VAR_IF([vz_ok], [yes], [$1="$$1 $2"])
	AS_VAR_POPDEF([vz_ok])
])

# VZ_FLAGS(variable, flags separated by blanks, kind)
AC_DEFUN([VZ_FLAGS], [m4_foreach_w([vz_f], [$2], [VZ_FLAG([$1], m4_dquote(m4_defn([vz_f])), [$3])])])

# VZ_LIB(NAME, archives, shared library, header, symbol)
# A library that each start needs.  Its archive is preferred: mapping and relocating a shared one costs 50 to 100
# microseconds per start of the program.  Appends to VZ_LIBS.
AC_DEFUN([VZ_LIB], [
	AC_CHECK_HEADER([$4], [], [AC_MSG_ERROR([$4 not found: install the development package of $1])])
	vz_found=no
	vz_save_LIBS=$LIBS
	AC_MSG_CHECKING([how to link $1])
	AS_IF([test "x$with_static_libs" != xno], [
		for vz_a in $2; do
			AS_IF([test "$vz_found" = no], [
				LIBS="-l:$vz_a $vz_save_LIBS"
				AC_LINK_IFELSE([AC_LANG_PROGRAM([#include <$4>], [(void)$5;])], [vz_found="-l:$vz_a"])
			])
		done
	])
	AS_IF([test "$vz_found$with_static_libs" = noyes], [AC_MSG_ERROR([no usable archive of $1])])
	AS_IF([test "$vz_found" = no], [
		LIBS="-l$3 $vz_save_LIBS"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([#include <$4>], [(void)$5;])], [vz_found="-l$3"])
	])
	LIBS=$vz_save_LIBS
	AC_MSG_RESULT([$vz_found])
	AS_IF([test "$vz_found" = no], [AC_MSG_ERROR([$1 does not link])])
	VZ_LIBS="$VZ_LIBS $vz_found"
])

# VZ_OPTIONAL(name, MACRO, header, what it is for)
# A library that is opened at run time when it is first needed (dlopen): only its header is used here.
# HAVE_MACRO is always defined, to 0 or 1.
AC_DEFUN([VZ_OPTIONAL], [
	AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [build without $4])], [], [with_[]$1=auto])
	vz_have=0
	AS_IF([test "x$with_[]$1" != xno], [
		AC_CHECK_HEADER([$3], [vz_have=1])
		AS_IF([test "x$with_[]$1" = xyes && test $vz_have = 0], [AC_MSG_ERROR([--with-$1 given, but $3 not found])])
	])
	AC_DEFINE_UNQUOTED([HAVE_$2], [$vz_have], [1 when built with $1: $4])
	VZ_FEATURES="$VZ_FEATURES $1=$vz_have"
])
