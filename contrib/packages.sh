#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The one list of Debian packages (12 and 13).  packages.sh GROUP...: print them; packages.sh install GROUP...:
# install those that are missing, as root; says nothing when there is nothing to do.
set -eu

group() {
	case $1 in
	build)    echo gcc libc6-dev make autoconf automake git libyajl-dev libseccomp-dev libmnl-dev libsystemd-dev libprotobuf-c-dev protobuf-c-compiler ;;
	runtime)  echo libseccomp2 libmnl0 libsystemd0 libprotobuf-c1 ;; # opened when needed
	bundle)   echo busybox-static ;;
	test)     echo bats jq iproute2 procps util-linux mount socat strace python3 uidmap attr keyutils zsh fish lxcfs ;;
	# Not docker.io: its package starts a daemon that rewrites the firewall.
	engines)  echo buildah podman containerd containernetworking-plugins runc conmon catatonit iptables python3-grpcio ;;
	bench)    echo runc crun strace ;;
	vm)       echo mmdebstrap debian-archive-keyring e2fsprogs xz-utils zstd cpio python3 util-linux busybox-static ;;
	# What the test guests are made of (tests/vm/build): never installed here.
	vm-qemu)  echo qemu-system-x86 qemu-utils seabios ipxe-qemu libc6 ;;
	vm-guest)
		echo systemd-sysv dbus dbus-user-session libpam-systemd systemd-container udev kmod procps psmisc util-linux \
			util-linux-extra mount e2fsprogs acl attr pciutils ca-certificates busybox-static python3 file sudo rsync socat \
			strace jq bats curl zstd libyajl2 libmnl0 libseccomp2 libprotobuf-c1 criu keyutils libcap2-bin uidmap bsdextrautils \
			iproute2 iputils-ping ethtool nftables iptables passt slirp4netns fuse3 fuse-overlayfs aardvark-dns netavark \
			crun runc containerd containernetworking-plugins conmon catatonit podman buildah skopeo python3-grpcio \
			apparmor checkpolicy lxcfs ;; # no SELinux policy: the tests load one of their own, and only where there is none
	vm-trixie) group vm-guest && echo docker.io docker-cli nfs-kernel-server nfs-common ;;
	vm-bookworm) group vm-guest ;;
	package)  echo dpkg-dev debhelper lintian rpm cpio ;;
	fuzz)     echo clang llvm ;;
	sanitize) echo libasan8 libubsan1 ;;
	valgrind) echo valgrind ;;
	analyze)  echo clang clang-tidy cppcheck ;;
	*)        echo "packages.sh: no group $1" >&2; exit 2 ;;
	esac
}

install=no
if [ "${1:-}" = install ]; then install=yes; shift; fi
want=
for g in "$@"; do p=$(group "$g"); want="$want $p"; done
if [ $install = no ]; then
	printf '%s\n' $want
	exit 0
fi

missing=
for p in $want; do
	case $(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null) in
	ii*) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "packages.sh: missing, and only root can install:$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$log" 2>&1
}
if ! apt install --no-install-recommends $missing; then
	: >"$log"
	if ! { apt update && apt install --no-install-recommends $missing; }; then
		cat "$log" >&2
		exit 1
	fi
fi
