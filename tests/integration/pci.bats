#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# org.openvz.pci: functions of the host.  What is refused is asked of any machine; what is given, of the guest with spare ones.

load ../lib/helpers

CLAIMS=/run/vzrun/.claims
PCI=/sys/bus/pci/devices

setup_file() {
	# Before the first test looks at what there is.
	[[ ${VZ_LEG:-} != pci ]] || modprobe --all e1000e nvme igb igbvf
}

setup() {
	[[ ${VZ_LEG:-} != pci ]] || wait_until all_there
	vz_setup || return
	needs_root
	compgen -G "$PCI/*" >/dev/null || skip "no PCI functions here"
	config_set '.process.args = ["sleep", "1000"]'
}

teardown() {
	local c rc=0

	for c in "$ROOT"/*/; do
		[[ ! -d $c ]] || "$VZRUN" --root "$ROOT" delete --force "$(basename "$c")" 3>&- 4>&-
	done
	for c in ${BOUND:-}; do
		echo "$c" >"$PCI/$c/driver/unbind"
		echo >"$PCI/$c/driver_override"
	done
	if compgen -G "$CLAIMS/pci-*"; then
		echo "claims are left"
		rc=1
	fi
	vz_teardown && return $rc
}

spare() {
	[[ ${VZ_LEG:-} == pci ]] || skip "needs the guest with spare PCI functions"
	CARD=$(function_of 8086:10d3) DISK=$(function_of 1b36:0010) VIRTUAL=$(function_of 8086:10c9)
	EDU=$(functions_of 1234:11e8 | grep ':10\.0$') PAIR=($(functions_of 1234:11e8 | grep ':11\.'))
	[[ -n $CARD && -n $DISK && -n $VIRTUAL && -n $EDU && ${#PAIR[@]} == 2 ]]
}

# Their drivers work in the background, and udev renames what they bring.
all_there() {
	[[ $(interface "$(function_of 8086:10d3)") == enp* && $(interface "$(function_of 8086:10c9)") == enp* ]] && compgen -G "/dev/nvme*n1" >/dev/null
}

functions_of() {
	local f

	for f in "$PCI"/*; do
		[[ $(<"$f/vendor"):$(<"$f/device") != "0x${1/:/:0x}" ]] || echo "${f##*/}"
	done
}

function_of() { functions_of "$1" | head -n 1; }
driver() { basename "$(readlink "$PCI/$1/driver" 2>/dev/null || echo none)"; }
override() { sed 's/(null)//' "$PCI/$1/driver_override"; }
group() { basename "$(readlink "$PCI/$1/iommu_group")"; }
interface() { ls "$PCI/$1/net" 2>/dev/null; }
# What somebody has set; whether there is a carrier shows a moment later.
look() { ip addr show "$1" | grep -v "fe80\|valid_lft" | sed -e 's/^[0-9]*//' -e 's/ state [A-Z]*//' -e 's/NO-CARRIER,//' -e 's/,LOWER_UP//'; }
annotation() { config_set --arg k "org.openvz.$1" --arg v "$2" '.annotations[$k] = $v'; }
starts() { ok run --bundle "$BUNDLE" --detach "$ID"; }
inside() { ok exec "$ID" sh -c "$1"; }
drives() { cp "$(dirname "$AUDIT")/vfio" "$BUNDLE/rootfs/bin/vfio"; }

# binds FUNCTION...: as with vfio-pci.ids= on the kernel's command line
binds() {
	modprobe vfio-pci
	for BOUND in "$@"; do
		echo vfio-pci >"$PCI/$BOUND/driver_override"
		echo "$BOUND" >/sys/bus/pci/drivers/vfio-pci/bind
		echo >"$PCI/$BOUND/driver_override"
	done
	BOUND=$*
}

# reads FUNCTION ID: the program inside drives it
reads() {
	ok exec "$ID" vfio "$(group "$1")" "$1"
	assert_eq "$output" "$2"
}

# ---- what is refused, on any machine ----

@test "refused: what is no function, and what is not there" {
	annotation pci "01:02"
	fails '/annotations/org.openvz.pci: "01:02": "01:02" is no PCI function: \[dddd:\]bb:dd.f' run --bundle "$BUNDLE" "$ID"
	annotation pci "fe:1e.7"
	fails "/annotations/org.openvz.pci: this host has no PCI function 0000:fe:1e.7" run --bundle "$BUNDLE" "$ID"
	annotation pci-mode raw
	fails '/annotations/org.openvz.pci-mode: "raw": neither auto nor vfio' run --bundle "$BUNDLE" "$ID"
	config_set 'del(.annotations)'
	starts
	fails "--pci: this host has no PCI function 0000:fe:1e.7" set "$ID" --pci-add 0000:fe:1e.7
	fails "--pci-sysfs: cannot be changed while the container lives" set "$ID" --pci-sysfs rw
}

@test "refused: a bridge" {
	local f found=

	for f in "$PCI"/*; do
		[[ $(<"$f/class") != 0x06* ]] || found=${f##*/}
	done
	[[ -n $found ]] || skip "no bridge here"
	annotation pci "$found"
	fails "/annotations/org.openvz.pci: $found is a bridge" run --bundle "$BUNDLE" "$ID"
}

@test "refused: the disk that the host uses" {
	local f found=

	for f in "$PCI"/*/virtio*/block/* "$PCI"/*/nvme/*/nvme*n*; do
		[[ -e $f ]] && grep -q "^/dev/${f##*/}" /proc/mounts && found=$f
	done
	[[ -n $found ]] || skip "no file system on a PCI disk here"
	f=${found#"$PCI"/}
	annotation pci "${f%%/*}"
	# Where the test itself may not open the disk, nobody can tell; which is no better.
	fails "/annotations/org.openvz.pci: ${f%%/*}: *the host uses /dev/${found##*/}" run --bundle "$BUNDLE" "$ID"
	annotation pci-mode vfio
	fails "/annotations/org.openvz.pci: ${f%%/*}: *the host uses /dev/${found##*/}" run --bundle "$BUNDLE" "$ID"
}

@test "refused: what has nothing to give" {
	local f found=

	for f in "$PCI"/*; do
		[[ $(<"$f/class") == 0x06* || -n $(find "$f/" -maxdepth 4 \( -name dev -o -name net \)) ]] || found=${f##*/}
	done
	[[ -n $found ]] || skip "every function has something"
	annotation pci "$found"
	fails "/annotations/org.openvz.pci: $found: has neither network interfaces nor device nodes here (driver: $(driver "$found")); pci-mode vfio gives the function itself" run --bundle "$BUNDLE" "$ID"
	[[ ! -e $PCI/$found/iommu_group ]] || return 0
	annotation pci-mode vfio
	fails "/annotations/org.openvz.pci: $found: is in no IOMMU group: this host has no IOMMU, or it is off" run --bundle "$BUNDLE" "$ID"
}

# ---- a network card ----

@test "a network card: its interface goes in with its addresses, and comes back" {
	spare
	local if was

	if=$(interface "$CARD")
	ip addr add 10.7.0.1/24 dev "$if"
	ip link set "$if" up
	was=$(look "$if")
	annotation pci "$CARD"
	starts
	inside "ip addr show $if"
	assert_match "$output" "*UP*10.7.0.1/24*"
	[[ -z $(interface "$CARD") ]]
	ok delete --force "$ID"
	assert_eq "$(look "$if")" "$was"
	assert_eq "$(driver "$CARD")" e1000e

	# On a container that lives.
	config_set 'del(.annotations)'
	starts
	ok set "$ID" --pci-add "$CARD"
	inside "ip addr show $if"
	assert_match "$output" "*10.7.0.1/24*"
	ok set "$ID" --pci-del "$CARD"
	ip addr show "$if" | grep -q 10.7.0.1/24
	ip addr flush dev "$if"
}

@test "a network card: not when its interface is lent by another key" {
	spare
	local if

	if=$(interface "$CARD")
	config_set --arg i "$if" '.annotations = { "org.openvz.netdev": $i }'
	starts
	config_set --arg v "$CARD" '.annotations = { "org.openvz.pci": $v, "org.openvz.pci-mode": "vfio" }'
	fails "/annotations/org.openvz.pci: $CARD: its interface $if is lent to container $ID ($ROOT)" run --bundle "$BUNDLE" "$ID-b"
	# Nor is it gone because it is hidden inside.
	local inner outer
	outer=/proc/$(pid_of "$ID")/ns/net
	nsenter --net="$outer" unshare -n sleep 300 3>&- 4>&- &
	inner=$!
	nested() { [[ ! /proc/$inner/ns/net -ef $outer && ! /proc/$inner/ns/net -ef /proc/self/ns/net ]]; }
	wait_until nested
	nsenter --net="$outer" ip link set "$if" netns "$inner"
	fails "$if: is gone, and cannot be made again (or is hidden inside" set "$ID" --netdev-del "$if"
	ok delete --force "$ID"
	kill "$inner"
	wait "$inner" || :
	all_back() { ok reconcile && [[ $(interface "$CARD") == "$if" ]] && ! compgen -G "$CLAIMS/netdev-*" >/dev/null; }
	wait_until all_back
}

@test "a network card: not when the host's default route goes over it, or somebody else has it" {
	spare
	local if

	if=$(interface "$CARD")
	ip addr add 10.7.0.1/24 dev "$if"
	ip link set "$if" up
	ip route add default via 10.7.0.2 dev "$if"
	annotation pci "$CARD"
	fails "/annotations/org.openvz.pci: $CARD: the host's default route goes over $if" run --bundle "$BUNDLE" "$ID"
	ip route del default
	ip addr flush dev "$if"
	starts
	fails "/annotations/org.openvz.pci: $CARD is given to container $ID ($ROOT)" run --bundle "$BUNDLE" "$ID-b"
	config_set --arg i "$if" '.annotations = { "org.openvz.netdev": $i }'
	fails "/annotations/org.openvz.netdev: $if is lent to container $ID ($ROOT)" run --bundle "$BUNDLE" "$ID-b"
}

# ---- nodes ----

@test "an NVMe disk: its nodes, made and permitted, also on a container that lives" {
	spare
	local disk

	disk=$(basename /dev/nvme*n1)
	annotation pci "$DISK"
	starts
	inside "dd if=/dev/$disk of=/dev/null bs=1M count=1 && stat -c %F /dev/$disk /dev/${disk%n1}"
	assert_match "$output" "*block special file
character special file"
	ok delete --force "$ID"
	dd if="/dev/$disk" of=/dev/null bs=1M count=1 status=none

	config_set 'del(.annotations)'
	starts
	inside "mknod /tmp/d b $((0x$(stat -c %t "/dev/$disk"))) $((0x$(stat -c %T "/dev/$disk"))); ! dd if=/tmp/d of=/dev/null count=1"
	ok set "$ID" --pci-add "${DISK#0000:}"
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -r .pci.value)" "$DISK"
	inside "dd if=/dev/$disk of=/dev/null bs=1M count=1"
	systemctl daemon-reload
	inside "dd if=/dev/$disk of=/dev/null bs=1M count=1"
	ok set "$ID" --pci-del "$DISK"
	inside "! [ -e /dev/$disk ] && ! dd if=/tmp/d of=/dev/null count=1"
}

@test "an NVMe disk: what devnodes has named too stays until neither names it" {
	spare
	local disk

	disk=$(basename /dev/nvme*n1)
	starts
	ok set "$ID" --devnodes "$disk:rw"
	ok set "$ID" --pci-add "$DISK"
	ok set "$ID" --pci-del "$DISK"
	inside "dd if=/dev/$disk of=/dev/null bs=1M count=1"
	ok set "$ID" --pci-add "$DISK"
	ok set "$ID" --devnodes ""
	inside "dd if=/dev/$disk of=/dev/null bs=1M count=1"
	ok set "$ID" --pci-del "$DISK"
	inside "! [ -e /dev/$disk ] && ! [ -e /dev/${disk%n1} ]"
	ok set "$ID" --devnodes "$disk:rw" --pci-add "$DISK"
	ok set "$ID" --devnodes "" --pci ""
	inside "! [ -e /dev/$disk ]"
	assert_eq "$(jq "[.resources.devices[]? | select(.type == \"b\")] | length" "$ROOT/$ID/state.json")" 0
}

@test "an NVMe disk: the document's node stays as it is, what was made for pci goes" {
	spare
	local disk claim

	disk=$(basename /dev/nvme*n1)
	config_set --arg p "/dev/$disk" --argjson a $((0x$(stat -c %t "/dev/$disk"))) --argjson b $((0x$(stat -c %T "/dev/$disk"))) \
		'.linux.resources.devices = [{ allow: true, access: "rwm" }]
		| .linux.devices = [{ path: $p, type: "b", major: $a, minor: $b, fileMode: 438 }]'
	annotation pci "$DISK"
	starts
	inside "stat -c %a /dev/$disk /dev/${disk%n1}"
	assert_eq "$output" $'666\n600'
	ok set "$ID" --pci ""
	inside "stat -c %a /dev/$disk; ! [ -e /dev/${disk%n1} ]"
	assert_eq "$output" 666
	ok set "$ID" --pci-add "$DISK"
	claim=$CLAIMS/pci-$DISK
	assert_eq "$(jq -c '[.pci.nodes[].made] | sort' "$claim")" "[false,true]"
	ok set "$ID" --pci-del "$DISK"
	inside "stat -c %a /dev/$disk; ! [ -e /dev/${disk%n1} ]"
	assert_eq "$output" 666
	# A claim of a version that did not say.
	inside "rm /dev/$disk"
	ok set "$ID" --pci-add "$DISK"
	jq 'del(.pci.nodes[].made)' "$claim" >"$T/claim"
	cp "$T/claim" "$claim"
	ok set "$ID" --pci-del "$DISK"
	inside "! [ -e /dev/$disk ] && ! [ -e /dev/${disk%n1} ]"
}

@test "an NVMe disk: not taken away as long as a process inside has one of its nodes open" {
	spare
	local disk node

	disk=$(basename /dev/nvme*n1)
	starts
	for node in "$disk" "${disk%n1}"; do
		ok set "$ID" --pci-add "$DISK"
		ok exec --detach "$ID" sh -c "exec 3</dev/$node; echo \$\$ >/tmp/held; exec sleep 1000"
		wait_until ok exec "$ID" test -s /tmp/held
		fails "of the container uses $DISK" set "$ID" --pci-del "$DISK"
		inside "dd if=/dev/$disk of=/dev/null bs=1M count=1"
		inside 'kill $(cat /tmp/held); rm /tmp/held'
		wait_until ok set "$ID" --pci-del "$DISK"
		inside "! [ -e /dev/$disk ] && ! [ -e /dev/${disk%n1} ]"
	done
}

@test "an NVMe disk: not when the host uses it, also not by vfio" {
	spare
	needs_command python3
	local disk holder

	disk=$(basename /dev/nvme*n1)
	# As a mount, swap space or a volume has it.
	python3 -c 'import os, sys, time; os.open(sys.argv[1], os.O_RDWR | os.O_EXCL); open(sys.argv[2], "w"); time.sleep(300)' "/dev/$disk" "$T/held" 3>&- 4>&- &
	holder=$!
	wait_until test -e "$T/held"
	annotation pci "$DISK"
	fails "/annotations/org.openvz.pci: $DISK: the host uses /dev/$disk" run --bundle "$BUNDLE" "$ID"
	annotation pci-mode vfio
	fails "/annotations/org.openvz.pci: $DISK: the host uses /dev/$disk" run --bundle "$BUNDLE" "$ID"
	kill "$holder"
	wait "$holder" || :
}

@test "an NVMe disk: in a user namespace" {
	spare
	local disk

	disk=$(basename /dev/nvme*n1)
	chmod 666 "/dev/$disk" # the host's node keeps its owner and mode
	new_userns
	starts
	ok set "$ID" --pci-add "$DISK"
	inside "dd if=/dev/$disk of=/dev/null bs=1M count=1"
	ok set "$ID" --pci-del "$DISK"
	inside "! [ -e /dev/$disk ]"
	chmod 660 "/dev/$disk"
}

@test "sysfs shows the functions read-only; pci-sysfs rw opens a function's own directory" {
	spare
	annotation pci "$DISK"
	starts
	inside "cat $PCI/$DISK/vendor; ! sh -c 'echo 1 >$PCI/$DISK/broken_parity_status' 2>/dev/null"
	assert_eq "$output" 0x1b36
	ok delete --force "$ID"
	annotation pci-sysfs rw
	starts
	inside "echo 1 >$PCI/$DISK/broken_parity_status && ! sh -c 'echo 1 >$PCI/$CARD/broken_parity_status' 2>/dev/null"
	assert_eq "$(<"$PCI/$DISK/broken_parity_status")" 1
	echo 0 >"$PCI/$DISK/broken_parity_status"
	# What is written there does not outlive the container.
	inside "echo vfio-pci >$PCI/$DISK/driver_override"
	ok delete --force "$ID"
	assert_eq "$(driver "$DISK") $(override "$DISK")" "nvme "
	config_set '.mounts |= map(select(.destination != "/sys"))'
	fails "/annotations/org.openvz.pci-sysfs: the container has no /sys" run --bundle "$BUNDLE" "$ID"
}

# ---- vfio ----

@test "vfio: a function without a driver; what is inside reads its configuration space" {
	spare
	drives
	annotation pci "$EDU"
	annotation pci-mode vfio
	starts
	assert_eq "$(driver "$EDU")" vfio-pci
	reads "$EDU" 1234:11e8
	inside 'ulimit -l'
	assert_eq "$output" unlimited
	ok delete --force "$ID"
	assert_eq "$(driver "$EDU")" none
	assert_eq "$(override "$EDU")" ""
}

@test "vfio: a network card goes back to its driver after the end of a foreground run" {
	spare
	drives
	annotation pci "$CARD"
	annotation pci-mode vfio
	config_set --arg g "$(group "$CARD")" --arg f "$CARD" '.process.args = ["vfio", $g, $f]'
	ok run --bundle "$BUNDLE" "$ID"
	assert_eq "$output" 8086:10d3
	assert_eq "$(driver "$CARD")" e1000e
	assert_eq "$(override "$CARD")" ""
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "vfio: added to a container that lives; taken away only when nobody has it open" {
	spare
	drives
	starts
	ok set "$ID" --pci-mode vfio --pci-add "$CARD"
	reads "$CARD" 8086:10d3
	inside 'ulimit -l'
	assert_eq "$output" unlimited
	assert_match "$(grep "Max locked" "/proc/$(pid_of "$ID")/limits")" "*unlimited*unlimited*"
	ok exec --detach "$ID" sh -c "vfio $(group "$CARD") $CARD 1000 >/tmp/out"
	wait_until ok exec "$ID" grep -q 8086 /tmp/out
	fails "of the container uses $CARD" set "$ID" --pci-del "$CARD"
	assert_eq "$(driver "$CARD")" vfio-pci
	inside 'kill $(pidof vfio)'
	wait_until eval '! "$VZRUN" --root "$ROOT" exec "$ID" pidof vfio'
	ok set "$ID" --pci-del "$CARD"
	assert_eq "$(driver "$CARD")" e1000e
	inside "! [ -e /dev/vfio/$(group "$CARD") ]"
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "vfio: a mapping without a descriptor is a use as well" {
	spare
	drives
	starts
	ok set "$ID" --pci-mode vfio --pci-add "$EDU"
	ok exec --detach "$ID" sh -c "vfio $(group "$EDU") $EDU 1000 map >/tmp/out 2>&1"
	wait_until ok exec "$ID" grep -q 1234 /tmp/out
	sleep 1 # for the descriptors to be closed
	fails "of the container uses $EDU" set "$ID" --pci-del "$EDU"
	assert_eq "$(driver "$EDU")" vfio-pci
	ok delete --force "$ID"
	assert_eq "$(driver "$EDU")" none
}

@test "vfio: a driver that does not let go is an error in bounded time, and nobody else waits for it" {
	spare
	local holder

	starts
	ok run --bundle "$BUNDLE" --detach "$ID-b"
	ok set "$ID" --pci-mode vfio --pci-add "$EDU"
	# Nobody of the container.
	"$(dirname "$AUDIT")/vfio" "$(group "$EDU")" "$EDU" 1000 >"$T/held" 3>&- 4>&- &
	holder=$!
	wait_until test -s "$T/held"
	VZ_TIMEOUT=30 fails "$EDU: its driver does not let go: somebody has it open" set "$ID" --pci-del "$EDU"
	VZ_TIMEOUT=5 ok delete --force "$ID-b"
	kill "$holder"
	wait "$holder" || :
	ok delete --force "$ID"
	assert_eq "$(driver "$EDU")" none
	assert_eq "$(override "$EDU")" ""
}

@test "vfio: two words for one function are one, and it goes back to its driver" {
	spare
	annotation pci "$CARD ${CARD#0000:}"
	annotation pci-mode vfio
	starts
	assert_eq "$(driver "$CARD")" vfio-pci
	assert_eq "$(jq -r .pci.driver "$CLAIMS/pci-$CARD")" e1000e
	ok delete --force "$ID"
	assert_eq "$(driver "$CARD") $(override "$CARD")" "e1000e "
	config_set 'del(.annotations)'
	starts
	ok set "$ID" --pci-mode vfio --pci "$CARD ${CARD#0000:}"
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -r .pci.value)" "$CARD"
	ok set "$ID" --pci-del "${CARD#0000:}"
	assert_eq "$(driver "$CARD") $(override "$CARD")" "e1000e "
	inside '! [ -e /dev/vfio/vfio ]'
	assert_eq "$(jq '[.resources.devices[]? | select(.major == 10 and .minor == 196)] | length' "$ROOT/$ID/state.json")" 0
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "vfio: what a former container of the same name could not give back goes to where it came from, not to vfio-pci" {
	spare
	local claim=$CLAIMS/pci-$EDU

	annotation pci "$EDU"
	annotation pci-mode vfio
	starts
	cp "$claim" "$T/claim"
	ok delete --force "$ID"
	assert_eq "$(driver "$EDU")" none
	# As its driver leaves it that does not let go.
	echo vfio-pci >"$PCI/$EDU/driver_override"
	echo "$EDU" >/sys/bus/pci/drivers/vfio-pci/bind
	echo >"$PCI/$EDU/driver_override"
	cp "$T/claim" "$claim"
	starts
	assert_eq "$(driver "$EDU")" vfio-pci
	assert_eq "$(jq -r .pci.driver "$claim")" null
	ok delete --force "$ID"
	assert_eq "$(driver "$EDU") $(override "$EDU")" "none "
}

@test "vfio: an IOMMU group goes whole or not at all" {
	spare
	drives
	annotation pci "${PAIR[0]}"
	annotation pci-mode vfio
	fails "/annotations/org.openvz.pci: ${PAIR[0]}: its IOMMU group $(group "${PAIR[0]}") has also ${PAIR[1]}: give all of them, or none" run --bundle "$BUNDLE" "$ID"
	assert_eq "$(driver "${PAIR[0]}")" none
	annotation pci "${PAIR[*]}"
	starts
	reads "${PAIR[0]}" 1234:11e8
	reads "${PAIR[1]}" 1234:11e8
	# Nor does one alone go back.
	fails "${PAIR[1]}: its IOMMU group $(group "${PAIR[0]}") has also ${PAIR[0]}: take all of them, or none" set "$ID" --pci-del "${PAIR[1]}"
	reads "${PAIR[1]}" 1234:11e8
	ok set "$ID" --pci ""
	assert_eq "$(driver "${PAIR[0]}") $(driver "${PAIR[1]}")" "none none"
	inside "! [ -e /dev/vfio/vfio ]"
	ok set "$ID" --pci "${PAIR[*]}"
	reads "${PAIR[0]}" 1234:11e8
	ok delete --force "$ID"
	assert_eq "$(driver "${PAIR[0]}") $(driver "${PAIR[1]}")" "none none"
}

@test "vfio: functions that were bound to vfio-pci before are given under the same rules, and stay bound" {
	spare
	drives
	binds "$EDU" "${PAIR[@]}"
	assert_eq "$(driver "$EDU") $(override "$EDU")" "vfio-pci "
	starts
	fails "--pci: $EDU: is bound to vfio-pci: pci-mode vfio gives it" set "$ID" --pci-add "$EDU"
	ok set "$ID" --pci-mode vfio --pci-add "$EDU"
	inside 'ulimit -l'
	assert_eq "$output" unlimited
	ok exec --detach "$ID" sh -c "vfio $(group "$EDU") $EDU 1000 >/tmp/out"
	wait_until ok exec "$ID" grep -q 1234 /tmp/out
	fails "of the container uses $EDU" set "$ID" --pci-del "$EDU"
	inside 'kill $(pidof vfio)'
	wait_until eval '! "$VZRUN" --root "$ROOT" exec "$ID" pidof vfio'
	ok set "$ID" --pci-del "$EDU"
	assert_eq "$(driver "$EDU") $(override "$EDU")" "vfio-pci "
	fails "its IOMMU group $(group "${PAIR[0]}") has also ${PAIR[1]}: give all of them, or none" set "$ID" --pci "${PAIR[0]}"
	ok set "$ID" --pci "${PAIR[*]}"
	fails "has also ${PAIR[0]}: take all of them, or none" set "$ID" --pci-del "${PAIR[1]}"
	reads "${PAIR[1]}" 1234:11e8
	ok delete --force "$ID"
	assert_eq "$(driver "${PAIR[0]}") $(driver "${PAIR[1]}")" "vfio-pci vfio-pci"
	assert_eq "$(override "${PAIR[0]}")$(override "${PAIR[1]}")" ""
}

@test "vfio: a function that goes leaves to another what both need" {
	spare
	drives
	starts
	ok set "$ID" --pci-mode vfio --pci "$EDU $CARD"
	ok set "$ID" --pci-del "$EDU"
	reads "$CARD" 8086:10d3
	ok set "$ID" --pci ""
	inside '! [ -e /dev/vfio/vfio ]'
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "vfio: a virtual function by the same words; its parent not as long as there are some" {
	spare
	drives
	local vf

	echo 1 >"$PCI/$VIRTUAL/sriov_numvfs"
	vf=$(basename "$(readlink "$PCI/$VIRTUAL/virtfn0")")
	annotation pci "$VIRTUAL"
	annotation pci-mode vfio
	fails "/annotations/org.openvz.pci: $VIRTUAL: has 1 virtual functions enabled" run --bundle "$BUNDLE" "$ID"
	annotation pci "$vf"
	local was
	was=$(driver "$vf")
	starts
	ok exec "$ID" vfio "$(group "$vf")" "$vf"
	ok delete --force "$ID"
	assert_eq "$(driver "$vf")" "$was"
	echo 0 >"$PCI/$VIRTUAL/sriov_numvfs"
}

@test "after everything was killed reconcile gives back what has ended, and only that" {
	spare
	drives
	local run if

	if=$(interface "$VIRTUAL")
	annotation pci "$CARD $EDU"
	annotation pci-mode vfio
	"$VZRUN" --root "$ROOT" run --bundle "$BUNDLE" "$ID" 3>&- 4>&- </dev/null &
	run=$!
	wait_state "$ID" running
	config_set --arg v "$VIRTUAL" '.annotations = { "org.openvz.pci": $v }'
	ok run --bundle "$BUNDLE" --detach "$ID-b"
	kill -KILL "$run"
	wait "$run" || :
	kill -KILL "$(pid_of "$ID")"
	wait_until state_is "$ID" stopped
	assert_eq "$(driver "$CARD") $(driver "$EDU")" "vfio-pci vfio-pci"
	ok reconcile
	assert_eq "$(driver "$CARD") $(driver "$EDU")" "e1000e none"
	assert_eq "$(override "$CARD")$(override "$EDU")" ""
	[[ -z $(interface "$VIRTUAL") ]]
	kill -KILL "$(pid_of "$ID-b")"
	wait_until state_is "$ID-b" stopped
	ok reconcile
	assert_eq "$(interface "$VIRTUAL")" "$if"
	ok delete "$ID"
	ok delete "$ID-b"
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "a create that fails later gives all of it back" {
	spare
	annotation pci "$CARD $DISK $EDU"
	annotation pci-mode vfio
	config_set '.process.args = ["/nonexistent"]'
	fails /nonexistent run --bundle "$BUNDLE" "$ID"
	assert_eq "$(driver "$CARD") $(driver "$DISK") $(driver "$EDU")" "e1000e nvme none"
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "all or nothing: when the second cannot be given, the first is back" {
	spare
	starts
	inside "mkdir /dev/$(basename /dev/nvme*n1)"
	fails "nvme*: * exists" set "$ID" --pci "$CARD $DISK"
	[[ -n $(interface "$CARD") ]]
	assert_eq "$("$VZRUN" --root "$ROOT" set --format json "$ID" | jq -r .pci.value)" null
}

@test "one that is unplugged while a container has it" {
	spare
	starts
	ok set "$ID" --pci-add "$CARD"
	ok set "$ID" --pci-mode vfio --pci-add "$EDU"
	echo 1 >"$PCI/$CARD/remove"
	echo 1 >"$PCI/$EDU/remove"
	wait_until test ! -e "$PCI/$CARD" -a ! -e "$PCI/$EDU"
	ok set "$ID" --pci-del "$EDU"
	assert_match "$stderr" "*PCI function $EDU is no more*"
	ok delete --force "$ID"
	echo 1 >/sys/bus/pci/rescan
	wait_until eval '[[ -n $(interface "$CARD") ]]'
}

@test "checkpoint is refused with its name as long as one is given" {
	spare
	needs_criu
	config_set '.process.args = ["sh", "-c", "while :; do sleep 1; done"]' # a sleep of its own ends when CRIU interrupts it
	annotation pci "$DISK"
	starts
	fails "/annotations/org.openvz.pci: $DISK is lent to the container and cannot go into images: take it away first (vzrun set $ID --pci-del $DISK)" \
		checkpoint --image-path "$T/images" "$ID"
	state_is "$ID" running
	ok set "$ID" --pci-del "$DISK"
	ok checkpoint --image-path "$T/images" "$ID"
	ok restore --detach --bundle "$BUNDLE" --image-path "$T/images" "$ID"
	ok set "$ID" --pci-add "$DISK"
	inside 'ls /dev/nvme*n1'
}
