#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# org.openvz.netdev: interfaces of the host on loan.  The host's network is one of the test's own, held by a process.

load ../lib/helpers

CLAIMS=/run/vzrun/.claims

setup_file() {
	# In a guest, before the first test looks at what there is.
	[[ -z ${VZ_LEG:-} ]] || modprobe bonding max_bonds=0 2>/dev/null || :
}

setup() {
	vz_setup || return
	needs_root
	needs_command ip
	unshare -n ip link add va type veth peer name vb 2>/dev/null || skip "the kernel makes no network device here"
	unshare -n sleep 300 3>&- 4>&- &
	HOLDER=$!
	VZRUN_REAL=$VZRUN
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net "%s" "$@"\n' "$HOLDER" "$VZRUN" >"$T/vzrun"
	chmod 755 "$T/vzrun"
	VZRUN=$T/vzrun
	wait_until own_network
	new_link d1 address 02:00:00:00:07:01 mtu 1400
	host ip addr add 10.7.0.1/24 broadcast 10.7.0.255 dev d1
	host ip addr add 10.7.0.2 peer 10.9.0.1/32 dev d1
	host ip addr add fd07::1/64 dev d1 nodad
	host ip link set d1 up txqueuelen 77
	config_set '.process.args = ["sleep", "1000"] | .process.capabilities[] |= (. + ["CAP_NET_ADMIN"] | unique)'
	WAS=$(link d1)
}

# new_link NAME [ARG...]: one that stands alone, or the end of a pair where the kernel knows no such.
new_link() {
	host ip link add "$@" type dummy 2>/dev/null || { host ip link add "$@" type veth peer name "$1p" && host ip link set "$1p" up; }
}

own_network() { [[ $(readlink "/proc/$HOLDER/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }

teardown() {
	local c rc=0

	for c in "$ROOT"/*/; do
		[[ ! -d $c ]] || "$VZRUN" --root "$ROOT" delete --force "$(basename "$c")" 3>&- 4>&-
	done
	if [[ -n ${HOLDER:-} ]]; then
		"$VZRUN" reconcile
		if compgen -G "$CLAIMS/*-$(stat -Lc %i "/proc/$HOLDER/ns/net")-*"; then
			echo "claims are left"
			rc=1
		fi
		! grep "$CLAIMS" /proc/self/mountinfo || rc=1
		kill "$HOLDER"
		wait "$HOLDER" 2>/dev/null || :
	fi
	vz_teardown && return $rc
}

host() { nsenter --net="/proc/$HOLDER/ns/net" "$@"; }

# All that must be as it was: not the number, nor whether there is a carrier, which shows a moment later.
link() { host ip -d addr show "$1" 2>/dev/null | sed -e 's/^[0-9]*: //' -e '/fe80::/,+1d' -e 's/ \(numtxqueues\|gso\|tso\|gro\).*//' -e 's/@if[0-9]*//' -e 's/ link-netnsid [0-9]*//' -e 's/ state [A-Z]*//' -e 's/NO-CARRIER,//' -e 's/,LOWER_UP//'; }

is_back() { assert_eq "$(link "${1:-d1}")" "${2:-$WAS}"; }
is_away() { [[ -z $(link "${1:-d1}") ]]; }
annotation() { config_set --arg v "$1" '.annotations["org.openvz.netdev"] = $v'; }
starts() { ok run --bundle "$BUNDLE" --detach "$ID"; }
# As root of the container, with the ip(8) of the host.
within() { nsenter --net="/proc/$(pid_of "$ID")/ns/net" "$@"; }
inside() { ok exec "$ID" sh -c "$1"; }

@test "goes in with its addresses and up, and comes back as it was when the container is deleted" {
	annotation d1
	starts
	is_away
	inside 'ip addr show d1'
	assert_match "$output" "*d1*: <*UP*mtu 1400*02:00:00:00:07:01*10.7.0.1/24*10.7.0.2 peer 10.9.0.1/32*fd07::1/64*"
	ok delete --force "$ID"
	is_back
}

@test "added and taken away while the container lives" {
	starts
	ok set "$ID" --netdev-add d1
	inside 'ip addr show d1'
	assert_match "$output" "*10.7.0.1/24*"
	is_away
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -r .netdev.value)" d1
	ok set "$ID" --netdev-del d1
	is_back
	inside '! ip link show d1 2>/dev/null'
}

@test "an interface that was down, without addresses, is so again" {
	new_link d2
	WAS=$(link d2)
	annotation d2
	starts
	inside 'ip link show d2'
	assert_match "$output" "*d2*: <*UP*"
	ok delete --force "$ID"
	is_back d2
}

@test "what the container did to it does not come back with it" {
	annotation d1
	starts
	inside 'ip link set d1 down; ip link set d1 name mine; ip addr flush dev mine; ip addr add 192.0.2.1/24 dev mine
		ip link set mine address 02:00:00:00:66:66 mtu 900 promisc on arp off; ip link set mine up'
	ok delete --force "$ID"
	is_back
}

@test "comes back when the container has ended by itself, and with the end of a foreground run" {
	config_set '.process.args = ["true"]'
	annotation d1
	ok run --bundle "$BUNDLE" "$ID"
	is_back
	ok run --bundle "$BUNDLE" --detach "$ID"
	wait_state "$ID" stopped
	is_away
	ok delete "$ID"
	is_back
}

@test "a port of a bridge is one again" {
	host ip link add bridge0 type bridge
	host ip link set d1 master bridge0
	WAS=$(link d1)
	assert_match "$WAS" "*master bridge0*"
	annotation d1
	starts
	ok delete --force "$ID"
	is_back
}

@test "after everything was killed reconcile brings it back, and leaves alone who lives" {
	annotation d1
	"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- 4>&- </dev/null &
	local run=$! other=$ID-b
	wait_state "$ID" running
	new_link d2
	annotation d2
	ok run --bundle "$BUNDLE" --detach "$other"
	kill -KILL "$run"
	wait "$run" || :
	kill -KILL "$(pid_of "$ID")"
	wait_until state_is "$ID" stopped
	is_away
	ok reconcile
	is_back
	is_away d2
	# A second time there is nothing to do, nor at the delete.
	host ip addr del 10.7.0.1/24 dev d1
	WAS=$(link d1)
	ok reconcile
	ok delete "$ID"
	is_back
	ok delete --force "$other"
}

@test "delete --force of a container whose record is gone brings it back" {
	annotation d1
	starts
	kill -KILL "$(pid_of "$ID")"
	wait_until state_is "$ID" stopped
	cp -a "$ROOT/$ID" "$T/kept"
	rm -r "${ROOT:?}/$ID"
	ok delete --force "$ID"
	is_back
	# For the cgroup.
	mv "$T/kept" "$ROOT/$ID"
	ok delete --force "$ID"
	is_back
}

@test "a pair whose end the container removed is made again, with the other end as it was" {
	host ip link add va address 02:00:00:00:07:0a type veth peer name vb address 02:00:00:00:07:0b mtu 1300
	host ip link add bridge0 type bridge
	host ip link set vb master bridge0 up
	host ip addr add 10.8.0.1/24 dev va
	host ip link set va up
	local va vb
	va=$(link va) vb=$(link vb)
	annotation va
	starts
	inside 'ip link del va'
	[[ -z $(link vb) ]] || return
	ok delete --force "$ID"
	is_back va "$va"
	is_back vb "$vb"
}

@test "kinds that stand on another interface are made again" {
	local kind was
	host ip link add link d1 name v5 type vlan id 5 || skip "this kernel has no VLANs"
	host ip link add link d1 name m1 type macvlan mode bridge
	# One interface takes only one of these two.
	new_link d2
	host ip link add link d2 name i1 type ipvlan mode l3
	for kind in v5 m1 i1; do
		host ip link set "$kind" up
		was=$(link "$kind")
		annotation "$kind"
		starts
		inside "ip link del $kind"
		ok delete --force "$ID"
		is_back "$kind" "$was"
	done
}

@test "what the container put into its place stays there" {
	annotation d1
	starts
	inside 'i=$(cat /sys/class/net/d1/ifindex 2>/dev/null || ip -o link show d1 | cut -d: -f1); ip link del d1; ip link add d1 index $i type bridge'
	ok delete --force "$ID"
	is_back
}

# The pair d1 - d1p of this test, whatever the kernel knows besides.
pair() {
	host ip link del d1
	host ip link add d1 address 02:00:00:00:07:01 type veth peer name d1p address 02:00:00:00:07:02
	host ip link add bridge0 type bridge
	host ip link set d1 master bridge0
	host ip addr add 10.7.0.1/24 dev d1
	host ip link set d1p up
	host ip link set d1 up
	WAS=$(link d1) PEER_WAS=$(link d1p)
	annotation d1
	starts
}

@test "another of the same kind, whose other end stays inside, does not come to the host" {
	pair
	within ip link del d1
	within ip link add d1 type veth peer name evil
	within ip link set evil up
	ok set "$ID" --netdev-del d1
	is_back
	is_back d1p "$PEER_WAS"
	inside '! ip link show evil 2>/dev/null'
	ok delete --force "$ID"
	is_back
}

@test "one that is hidden in a namespace within the namespace comes back, and its other end too" {
	pair
	local hidden outer
	outer=/proc/$(pid_of "$ID")/ns/net
	nsenter --net="$outer" unshare -n sleep 300 3>&- 4>&- &
	hidden=$!
	nested() { [[ ! /proc/$hidden/ns/net -ef $outer && ! /proc/$hidden/ns/net -ef /proc/self/ns/net ]]; }
	wait_until nested
	within ip link set d1 netns "$hidden"
	ok set "$ID" --netdev-del d1
	is_back
	is_back d1p "$PEER_WAS"
	kill "$hidden"
	wait "$hidden" || :
}

# Its number, on the host and in a container: number NAME, number NAME ID
number() { nsenter --net="/proc/$([[ -n ${2:-} ]] && pid_of "$2" || echo "$HOLDER")/ns/net" ip -o link show "$1" | cut -d: -f1; }

# The claim of that interface as the version before wrote it.
old_claim() {
	local file was

	file=$CLAIMS/netdev-$(stat -Lc %i "/proc/$HOLDER/ns/net")-$1
	was=$(jq 'del(.netdev.hostIndex, .netdev.lowerIndex, .netdev.peer.hostIndex, .netdev.peer.lowerIndex)' "$file")
	printf '%s\n' "$was" >"$file"
}

@test "both ends of a pair, in two containers: each comes back as it is, whoever goes first" {
	local first second other=$ID-b end va vb there version

	host ip link add va address 02:00:00:00:07:0a type veth peer name vb address 02:00:00:00:07:0b
	va=$(link va) vb=$(link vb)
	for version in new old; do
		for first in "$ID" "$other"; do
			annotation va
			starts
			annotation vb
			ok run --bundle "$BUNDLE" --detach "$other"
			[[ $version == new ]] || { old_claim va && old_claim vb; }
			[[ $first == "$ID" ]] && second=$other end=vb || { second=$ID end=va; }
			there=$(number "$end" "$second")
			ok delete --force "$first"
			assert_eq "$stderr" ""
			assert_eq "$(number "$end" "$second")" "$there"
			ok delete --force "$second"
			is_back va "$va"
			is_back vb "$vb"
		done
	done
}

@test "the other end was renamed meanwhile, or lent under the new name" {
	local other=$ID-b there

	pair
	there=$(number d1p)
	host ip link set d1p down
	host ip link set d1p name renamed up
	ok set "$ID" --netdev-del d1
	assert_eq "$stderr" ""
	is_back d1 "${WAS/@d1p/@renamed}"
	assert_eq "$(number renamed)" "$there"
	ok set "$ID" --netdev-add d1
	host ip link set renamed down
	host ip link set renamed name again
	annotation again
	ok run --bundle "$BUNDLE" --detach "$other"
	there=$(number again "$other")
	ok delete --force "$ID"
	assert_eq "$stderr" ""
	assert_eq "$(number again "$other")" "$there"
	is_back d1 "${WAS/@d1p/}"
	ok delete --force "$other"
}

@test "what it stands on was renamed meanwhile" {
	local m1

	host ip link add link d1 name m1 type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
	m1=$(link m1)
	annotation m1
	starts
	host ip link set d1 down
	host ip link set d1 name renamed up
	ok set "$ID" --netdev-del m1
	assert_eq "$stderr" ""
	is_back m1 "${m1/d1/renamed}"
	ok set "$ID" --netdev-add m1
	within ip link del m1
	ok delete --force "$ID"
	is_back m1 "${m1/d1/renamed}"
}

# lend_with_parent: m1, which stands on d1, to the container, and d1 to $other.
lend_with_parent() {
	host ip link add link d1 name m1 address 02:00:00:00:07:0c type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
	m1=$(link m1)
	annotation m1
	starts
	annotation d1
	ok run --bundle "$BUNDLE" --detach "$other"
}

@test "what stands on one that is lent to another comes back as it is" {
	local other=$ID-b m1

	lend_with_parent
	ok delete --force "$ID"
	assert_eq "$stderr" ""
	host ip link show m1
	ok delete --force "$other"
	is_back
	is_back m1 "$m1"
}

# The kernel destroys it together with what it stands on.
@test "one that is gone with what it stood on: no longer claimed, with a warning" {
	local how

	for how in set delete reconcile; do
		new_link d2
		host ip link add link d2 name m1 type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
		annotation m1
		starts
		host ip link del d2
		inside '! ip link show m1 2>/dev/null'
		case $how in
		set) ok set "$ID" --netdev-del m1 ;;
		delete) ok delete --force "$ID" ;;
		reconcile)
			kill -KILL "$(pid_of "$ID")"
			wait_until state_is "$ID" stopped
			ok reconcile
			;;
		esac
		assert_eq "$stderr" "vzrun: warning: network device m1: is gone, and so is d2, which it stood on"
		[[ ! -e $CLAIMS/netdev-$(stat -Lc %i "/proc/$HOLDER/ns/net")-m1 ]]
		ok delete --force "$ID"
	done
}

@test "one that was removed inside while what it stood on is lent is made again when that is back" {
	local other=$ID-b m1

	lend_with_parent
	within ip link del m1
	fails "m1: is gone, and can be made again only when d1 is back, which is lent to container $other" set "$ID" --netdev-del m1
	ok delete --force "$other"
	is_back
	ok set "$ID" --netdev-del m1
	is_back m1 "$m1"
}

@test "what an earlier container of the same name still has is not taken for lent" {
	annotation d1
	starts
	# From another network it is not to be given back.
	"$VZRUN_REAL" --root "$ROOT" delete --force "$ID"
	is_away
	starts
	inside 'ip addr show d1'
	assert_match "$output" "*10.7.0.1/24*"
	ok delete --force "$ID"
	is_back
	# Nor does it hide that there is none.
	new_link d2
	host ip link add link d2 name m1 type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
	annotation m1
	starts
	host ip link del d2
	"$VZRUN_REAL" --root "$ROOT" delete --force "$ID"
	fails "no such interface: m1" run --bundle "$BUNDLE" "$ID"
}

@test "what was built on it inside goes" {
	host ip link add link d1 name probe type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
	host ip link del probe
	annotation d1
	starts
	inside 'ip link add link d1 name m1 type macvlan mode bridge; ip link set m1 up'
	ok set "$ID" --netdev-del d1
	is_back
	inside '! ip link show m1 2>/dev/null'
}

# in_network PID C...
in_network() { nsenter --net="/proc/$1/ns/net" "${@:2}"; }

@test "what was built on it inside and moved on goes too; what the host has built on it and kept does not" {
	local nested

	host ip link add link d1 name m1 type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
	# Between the container and the host is a pair: so the one has a number of the other.
	host ip link add va type veth peer name vb
	annotation "d1 va"
	starts
	nsenter --net="/proc/$(pid_of "$ID")/ns/net" unshare -n sleep 300 3>&- 4>&- &
	nested=$!
	apart() { [[ ! /proc/$nested/ns/net -ef /proc/$(pid_of "$ID")/ns/net && ! /proc/$nested/ns/net -ef /proc/self/ns/net ]]; }
	wait_until apart
	within ip link add link d1 name m2 type macvlan mode bridge
	within ip link set m2 netns "$nested"
	within ip link add link va name m3 type macvlan mode bridge
	within ip link set m3 netns "$nested"
	in_network "$nested" ip link show m2
	# The loan of another network, which cannot be seen from here, is no hindrance.
	jq '.hostNamespace = 1' "$CLAIMS/netdev-$(stat -Lc %i "/proc/$HOLDER/ns/net")-d1" >"$CLAIMS/netdev-1-$ID"
	run_vzrun set "$ID" --netdev-del d1
	rm "$CLAIMS/netdev-1-$ID"
	assert_eq "$status $stderr" "0 "
	assert_eq "$(in_network "$nested" ip link show m2 2>/dev/null)" ""
	in_network "$nested" ip link show m3
	host ip link show m1
	is_back
	kill "$nested"
	wait "$nested" || :
}

@test "what was built on it inside goes from where a process of the container has taken it" {
	local first second

	host ip link add link d1 name probe type macvlan mode bridge 2>/dev/null || skip "this kernel has no macvlan"
	host ip link del probe
	annotation d1
	starts
	ok exec --detach --cap CAP_SYS_ADMIN --pid-file "$T/first" "$ID" unshare -n sleep 300
	ok exec --detach --cap CAP_SYS_ADMIN --pid-file "$T/second" "$ID" unshare -n sleep 300
	first=$(<"$T/first") second=$(<"$T/second")
	apart() { [[ ! /proc/$1/ns/net -ef /proc/$(pid_of "$ID")/ns/net ]]; }
	wait_until apart "$first"
	wait_until apart "$second"
	# The container's namespace knows nothing of the second.
	within ip link add link d1 name m2 type macvlan mode bridge
	within ip link set m2 netns "$first"
	in_network "$first" ip link set m2 netns "$second"
	in_network "$second" ip link show m2
	ok set "$ID" --netdev-del d1
	assert_eq "$(in_network "$second" ip link show m2 2>/dev/null)" ""
	is_back
}

@test "further names: its own come back, those given inside do not, and none keeps it inside" {
	host ip link property add dev d1 altname first
	host ip link add host0 type bridge
	annotation first
	fails "first is a further name of d1: give that" run --bundle "$BUNDLE" "$ID"
	annotation d1
	starts
	within ip link property add dev d1 altname host0
	ok set "$ID" --netdev-del d1
	assert_eq "$(host ip -j link show d1 | jq -c '.[0].altnames')" '["first"]'
	host ip link show host0
}

@test "a name that looks like a file of the registry" {
	new_link e1.netns
	WAS=$(link e1.netns)
	annotation e1.netns
	starts
	ok set "$ID" --netdev-del e1.netns
	is_back e1.netns
}

@test "a container that is created anew is lent them though its --root has another name" {
	annotation d1
	starts
	ln -s "$ROOT" "$T/link"
	"$VZRUN" --root "$T/link" set "$ID" --netdev-del d1
	is_back
}

@test "twice the same word is one" {
	annotation "d1 d1"
	starts
	is_away
	ok set "$ID" --netdev "d1, d1"
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -r .netdev.value)" d1
	ok set "$ID" --netdev-del d1
	is_back
}

@test "refused: an interface that cannot move takes the first with it, and both are back" {
	host ip link add bridge0 type bridge
	annotation "d1 bridge0"
	fails "bridge0" run --bundle "$BUNDLE" "$ID"
	is_back
}

@test "one whose name was taken meanwhile comes back under another, with a warning" {
	annotation d1
	starts
	host ip link add d1 type ifb 2>/dev/null || host ip link add d1 type bridge
	ok delete --force "$ID"
	assert_match "$stderr" "*network device d1 comes back as dev0: the host has another one of that name*"
	assert_match "$(link dev0)" "*10.7.0.1/24*"
}

@test "a create that fails later gives it back" {
	annotation d1
	config_set '.process.args = ["/nonexistent"]'
	fails "/nonexistent" run --bundle "$BUNDLE" "$ID"
	is_back
}

@test "refused: what is not there, no interface, lent already, the default route's, the loopback" {
	annotation nosuch
	fails "/annotations/org.openvz.netdev: no such interface: nosuch" run --bundle "$BUNDLE" "$ID"
	annotation a/b
	fails "/annotations/org.openvz.netdev: \"a/b\": \"a/b\" is no name of a network interface" run --bundle "$BUNDLE" "$ID"
	annotation lo
	fails "/annotations/org.openvz.netdev: lo is the host's loopback" run --bundle "$BUNDLE" "$ID"
	annotation d1
	starts
	fails "/annotations/org.openvz.netdev: d1 is lent to container $ID ($ROOT)" run --bundle "$BUNDLE" "$ID-b"
	new_link d2
	host ip addr add 10.6.0.1/24 dev d2
	host ip link set d2 up
	host ip route add default via 10.6.0.2 dev d2
	fails "--netdev: the host's default route goes over d2" set "$ID" --netdev-add d2
	fails "--netdev: no such interface: d3" set "$ID" --netdev-add d3
	fails "--netdev-add: d1 is there already" set "$ID" --netdev-add d1
	inside 'ip link show d1'
}

# carried NAME: lent only without the default route over 10.6.0.1's interface.
carried() {
	host ip route add default via 10.6.0.2
	fails "--netdev: the host's default route goes over $1" set "$ID" --netdev-add "$1"
	host ip route del default
}

# new_kind NAME KIND [ARG...]: or skip
new_kind() { host ip link add "$1" type "${@:2}" 2>/dev/null || skip "the kernel makes no $2"; }

@test "refused: what carries the default route with layers between" {
	starts
	new_kind b0 bridge
	host ip addr add 10.6.0.1/24 dev b0
	host ip link set b0 up
	host ip link add link d1 name m1 type macvlan 2>/dev/null || skip "the kernel makes no macvlan"
	host ip link set m1 master b0 up
	carried d1
	carried m1
	# Without the route it may go; and it does not come out of what is built on another.
	host ip link set m1 nomaster
	host ip route add default via 10.6.0.2
	ok set "$ID" --netdev-add d1
	ok set "$ID" --netdev-del d1
}

@test "refused: the bond in a bridge with the default route and what is below it; not the pair's end on the same bridge" {
	starts
	new_kind b0 bridge
	host ip addr add 10.6.0.1/24 dev b0
	host ip link set b0 up
	host ip link add va type veth peer name vb
	host ip link set va master b0 up
	host ip route add default via 10.6.0.2
	ok set "$ID" --netdev-add va
	ok set "$ID" --netdev-del va
	host ip route del default
	# To load its driver would make one on the host.
	[[ -e /sys/class/net/bonding_masters ]] || skip "no bonding driver"
	host ip -d link show d1 | grep -qw dummy || skip "the kernel makes no interface that stands alone"
	new_kind bond0 bond
	host ip link set d1 down
	host ip link set d1 master bond0
	host ip link set bond0 master b0 up
	carried d1
	carried bond0
}

@test "refused: a container in the host's network" {
	annotation d1
	config_set '.linux.namespaces |= map(select(.type != "network"))'
	fails "/annotations/org.openvz.netdev: needs a network namespace" run --bundle "$BUNDLE" "$ID"
	config_set 'del(.annotations)'
	starts
	fails "the container has no network namespace of its own" set "$ID" --netdev-add d1
	is_back
}

@test "all or nothing: when the second cannot go in, the first is back" {
	new_link d2
	starts
	inside 'ip link add d2 type bridge'
	fails "d2 exists in the container's network namespace" set "$ID" --netdev "d1 d2"
	is_back
	host ip link show d2
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -r .netdev.value)" null
}

# The kernel refuses the last of them: what is native comes behind all updates.
@test "all or nothing: with devices, a host name and limits, when a limit is refused" {
	[[ -c /dev/fuse ]] || skip "no /dev/fuse here"
	needs_controller pids
	local settings

	config_set 'del(.linux.resources.pids) | .hostname = "first" | .annotations = { "org.openvz.hostname": "first", "org.openvz.numproc": "77" }'
	starts
	settings=$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -S .)
	limits() { cg pids.max && { [[ $(cg_mode) == v2 ]] || cg devices.list | sort; }; }
	local before
	before=$(limits)
	(
		VZRUN_REAL=$VZRUN
		in_mount_ns "$(read_only "$(cg_dir "$(pid_of "$ID")" pids)/pids.max")"
		fails "read-only file system" set "$ID" --netdev-add d1 --devnodes-add fuse:rw --devices c:10:237:r --hostname second --numproc 100
	)
	is_back
	inside 'hostname; ! ip link show d1 2>/dev/null && ! [ -e /dev/fuse ] && mknod /dev/f c 10 229 && ! (exec 3</dev/f) 2>/dev/null'
	assert_eq "$output" first
	assert_eq "$(limits)" "$before"
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -S .)" "$settings"
	ok set "$ID" --netdev-add d1 --devnodes-add fuse:rw --devices c:10:237:r --hostname second --numproc 100
	inside 'hostname; ip addr show d1; [ -c /dev/fuse ]'
	assert_match "$output" "second*10.7.0.1/24*"
}

# A hook holds the deletion up.
@test "set while the container is being deleted waits, and finds it gone" {
	local deletion setting rc=0

	config_set --arg t "$T" '.hooks.poststop = [{ path: "/bin/sh", args: ["sh", "-c",
		"touch " + $t + "/deleting; while ! [ -e " + $t + "/go ]; do sleep 0.05; done"] }]'
	starts
	"$VZRUN" --root "$ROOT" delete --force "$ID" 3>&- 4>&- &
	deletion=$!
	wait_until test -e "$T/deleting"
	"$VZRUN" --root "$ROOT" set "$ID" --netdev-add d1 --devnodes-add null:rw 2>"$T/set" 3>&- 4>&- &
	setting=$!
	sleep 0.5
	kill -0 "$setting"
	is_back
	touch "$T/go"
	wait "$deletion"
	wait "$setting" || rc=$?
	assert_eq "$rc" 1
	assert_match "$(<"$T/set")" "*container does not exist*"
	is_back
	[[ ! -e $ROOT/$ID ]]
}

# The registry's lock holds the setting up.
@test "delete --force while set is at work: what it has lent, or lends yet, is back" {
	local holder setting

	starts
	mkdir -p "$CLAIMS"
	flock "$CLAIMS" sh -c "touch $T/locked; while ! [ -e $T/go ]; do sleep 0.05; done" 3>&- 4>&- &
	holder=$!
	wait_until test -e "$T/locked"
	"$VZRUN" --root "$ROOT" set "$ID" --hostname second --netdev-add d1 2>"$T/set" 3>&- 4>&- &
	setting=$!
	sleep 0.3
	kill -0 "$setting"
	"$VZRUN" --root "$ROOT" delete --force "$ID" 3>&- 4>&- &
	local deletion=$!
	wait_until eval '! [[ -e /proc/$(pid_of "$ID")/ns ]]'
	touch "$T/go"
	wait "$holder"
	wait "$setting" || :
	wait "$deletion"
	is_back
	[[ ! -e $ROOT/$ID ]]
}

@test "in a user namespace, and in a namespace that is joined by its path" {
	annotation d1
	new_userns
	starts
	inside 'ip addr show d1'
	assert_match "$output" "*10.7.0.1/24*"
	ok delete --force "$ID"
	is_back
	new_bundle "$BUNDLE"
	config_set '.process.args = ["sleep", "1000"]'
	annotation d1
	unshare -n sleep 300 3>&- 4>&- &
	local pod=$!
	wait_until test ! "/proc/$pod/ns/net" -ef /proc/self/ns/net
	config_set --arg p "/proc/$pod/ns/net" '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)'
	starts
	assert_match "$(nsenter --net="/proc/$pod/ns/net" ip addr show d1)" "*10.7.0.1/24*"
	ok delete --force "$ID"
	is_back
	kill "$pod"
	wait "$pod" || :
}

@test "a container that reboots is lent them again" {
	add_probe
	mkdir -p "$T/v" "$BUNDLE/rootfs/v"
	add_mount /v bind "$T/v" bind rw
	config_set '.annotations = {"org.openvz.reboot": "on", "org.openvz.netdev": "d1"} |
		.process.capabilities |= map_values(. + ["CAP_SYS_BOOT"])'
	run_sh '[ $$ = 1 ] || exit 99; ip -o addr show d1 >>/v/seen; echo life >>/v/lives
		[ $(wc -l </v/lives) = 3 ] && exit 0; probe call reboot 0xfee1dead 672274793 0x01234567; sleep 10'
	assert_eq "$(grep -c 'inet 10.7.0.1/24' "$T/v/seen") $stderr" "3 "
	assert_eq "$(link d1)" "$WAS"
}

@test "checkpoint is refused with its name as long as one is lent" {
	needs_criu
	config_set '.process.args = ["sh", "-c", "while :; do sleep 1; done"]' # a sleep that is restored ends early
	config_set '.annotations["org.openvz.netdev"] = "d1"'
	ok run --bundle "$BUNDLE" --detach "$ID"
	fails "/annotations/org.openvz.netdev: d1 is lent to the container and cannot go into images: take it away first (vzrun set $ID --netdev-del d1)" \
		checkpoint --image-path "$T/images" "$ID"
	[[ ! -e $T/images ]]
	fails "d1 is lent" checkpoint --pre-dump --image-path "$T/images" "$ID"
	state_is "$ID" running
	ok set "$ID" --netdev-del d1
	assert_eq "$(link d1)" "$WAS"
	ok checkpoint --image-path "$T/images" "$ID"
	# The document still names it; what was in force counts.
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	assert_eq "$(link d1)" "$WAS"
	ok set "$ID" --netdev-add d1
	ok delete --force "$ID"
	assert_eq "$(link d1)" "$WAS"
}
