#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The release tarball, and what is made from it: an installation, a Debian package, an rpm.  Each program is put into a
# directory of its own and runs a container from there.

load ../lib/helpers

setup_file() {
	export P=$BATS_FILE_TMPDIR
	local build=$P/build

	mkdir "$build"
	sh "$TOP/contrib/build.sh" "$build" --prefix=/usr 3>&- 4>&-
	make -s -C "$build" dist >"$P/dist.log" 2>&1 3>&- 4>&- || { tail -n 20 "$P/dist.log"; return 1; }
	tar -xf "$build"/vzrun-*.tar.xz -C "$P"
	version=$(sh "$TOP/contrib/version.sh")
	export version SOURCE=$P/vzrun-$version
	export DEB_BUILD_OPTIONS="parallel=$(nproc)"
}

setup() { T=$(mktemp -d "$P/t.XXXXXX"); }
teardown() { :; }
teardown_file() { :; }

# logged NAME COMMAND...: its output goes to a log, which is shown when it fails.
logged() {
	local log=$P/$1.log

	shift
	timeout -k 10 600 "$@" >"$log" 2>&1 </dev/null 3>&- 4>&- || { tail -n 40 "$log"; return 1; }
}

smoke() {
	[[ $(id -u) == 0 ]] || skip "needs root"
	(cd "$SOURCE" && VZRUN=$1 logged smoke sh debian/tests/smoke)
	tail -n 1 "$P/smoke.log" | grep -q '^smoke: passed$'
}

files() { (cd "$1" && find . ! -type d | sort); }

@test "package: the tarball says from which commit it is" {
	[[ -e $TOP/.git ]] || skip "no git checkout here"
	assert_eq "$(<"$SOURCE/.commit")" "$(git -C "$TOP" rev-parse --short=12 HEAD)"
}

@test "package: make install puts everything below DESTDIR, and make uninstall takes it all back" {
	logged install make -C "$P/build" install DESTDIR="$T/root"
	files "$T/root" >"$T/files"
	for f in bin/vzrun share/man/man8/vzrun.8 share/bash-completion/completions/vzrun \
		share/fish/vendor_completions.d/vzrun.fish share/zsh/site-functions/_vzrun \
		share/doc/vzrun/examples/podman.conf share/doc/vzrun/examples/lxcfs.service.d/vzrun.conf share/doc/vzrun/examples/reconcile/vzrun-reconcile.timer; do
		grep -qx "./usr/$f" "$T/files" || { echo "no $f"; return 1; }
	done
	! grep -v '^\./usr/' "$T/files" || false
	! grep -r /usr/local "$T/root/usr/share/doc" || false
	assert_eq "$("$T/root/usr/bin/vzrun" --version | head -n 1)" "vzrun version $version"
	logged uninstall make -C "$P/build" uninstall DESTDIR="$T/root"
	assert_eq "$(files "$T/root")" ""
}

@test "package: another prefix" {
	logged prefix make -C "$P/build" install DESTDIR="$T/root" prefix=/opt/vz
	! files "$T/root" | grep -v '^\./opt/vz/' || false
	grep -q '"/opt/vz/bin/vzrun"' "$T/root/opt/vz/share/doc/vzrun/examples/podman.conf"
}

@test "package: the Debian package builds from the tarball" {
	needs_command dpkg-buildpackage
	mkdir "$P/deb"
	cp -a "$SOURCE" "$P/deb/source"
	cd "$P/deb/source"
	logged deb dpkg-buildpackage -us -uc
	ls "$P"/deb/vzrun_"$version"*.deb "$P"/deb/vzrun_"$version".dsc
	# Built and cleaned, the sources are as they were.
	logged clean debian/rules clean
	for f in configure Makefile.in aclocal.m4 config.h.in build-aux autom4te.cache; do rm -rf "$f" "$SOURCE/$f"; done
	diff -r "$SOURCE" .
}

@test "package: lintian has nothing to say" {
	needs_command lintian
	logged lintian lintian --allow-root --fail-on error,warning --display-info "$P"/deb/*.changes
	assert_eq "$(cat "$P/lintian.log")" ""
}

@test "package: the Debian package depends on what the program opens, and runs no scripts" {
	needs_command dpkg-deb
	deb=$(echo "$P"/deb/vzrun_"$version"_*.deb)
	depends=$(dpkg-deb -f "$deb" Depends)
	for d in libc6 libseccomp2 libmnl0; do assert_match "$depends" "*$d*"; done
	assert_eq "$(dpkg-deb -I "$deb" | grep -cE '^ .*(preinst|postinst|prerm|postrm)')" 0
}

@test "package: the Debian package's program is hardened and runs a container" {
	needs_command dpkg-deb readelf
	dpkg-deb -x "$P"/deb/vzrun_"$version"_*.deb "$T/root"
	program=$T/root/usr/bin/vzrun
	readelf -d "$program" | grep -q 'FLAGS_1.* NOW PIE'
	readelf -lW "$program" | grep -q GNU_RELRO
	readelf -sW --dyn-syms "$program" | grep -q __stack_chk_fail
	! readelf -lW "$program" | grep 'GNU_STACK.*RWE' || false
	assert_eq "$("$program" --version | sed -n 's/^commit: //p')" "$(<"$SOURCE/.commit")"
	for f in vzrun:bash ../../fish/vendor_completions.d/vzrun.fish:fish ../../zsh/vendor-completions/_vzrun:zsh; do
		"$program" completion "${f##*:}" | cmp - "$T/root/usr/share/bash-completion/completions/${f%:*}"
	done
	grep -q '"/usr/bin/vzrun"' "$T/root/usr/share/doc/vzrun/examples/podman.conf"
	smoke "$program"
}

@test "package: the rpm builds from the tarball, and its program runs a container" {
	needs_command rpmbuild rpm2cpio cpio
	logged spec rpmspec -P "$SOURCE/contrib/rpm/vzrun.spec"
	# Debian's rpm knows none of the packages that the spec names.
	logged rpm rpmbuild --nodeps --define "_topdir $P/rpm" --define "_tmppath $P/rpm" -ta "$P"/build/vzrun-"$version".tar.xz
	rpm=$(echo "$P"/rpm/RPMS/*/vzrun-"$version"-*.rpm)
	rpm -qp --requires "$rpm" >"$T/requires"
	grep -q '^libseccomp\.so\.2' "$T/requires"
	grep -q '^libmnl\.so\.0' "$T/requires"
	assert_eq "$(rpm -qp --scripts "$rpm")" ""
	mkdir "$T/root"
	(cd "$T/root" && rpm2cpio "$rpm" | cpio -id --quiet)
	[[ -e $T/root/usr/share/man/man8/vzrun.8 || -e $T/root/usr/share/man/man8/vzrun.8.gz ]]
	smoke "$T/root/usr/bin/vzrun"
}

@test "package: make distcheck" {
	logged distcheck make -C "$P/build" distcheck AM_COLOR_TESTS=no
}
