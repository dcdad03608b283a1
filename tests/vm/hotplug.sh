#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vm: --disks 1 --hotplug 1 --bridge --cpus 3 --timeout 320 --new-qemu --append sluice.nomod=nvme
#
# Devices come and go, 50 rounds, behind a root port and on a conventional bus
# behind a PCIe-to-PCI bridge, while one controller that stays works with a
# mapping for each transfer. A controller that goes works until then as well: its
# process ends by the exit status that says so, each time. On the conventional
# bus a second device joins the group that is in use, and is there when the
# controller goes and when it comes back; it leaves when nobody works there (see
# docs/groups.md for what happens else). After each step the computed groups are
# the kernel's; host() compares, because Python takes ten seconds to start in the
# VM.
. "$SLUICE_VM/guest-lib.sh"

rounds=50
# On a machine that is too busy for them all there are as many as fit this time,
# in seconds; SLUICE_LONG=1 insists on all.
limit=240
# The bridge, and two places on its bus.
VM_CONV_BRIDGE=0000:02:00.0 VM_CONV0=0000:03:01.0 VM_CONV1=0000:03:02.0
work=/dev/shm

# step has|lacks BDF: the groups now, by the kernel and by the rules.
step() {
	steps=$((steps + 1))
	sluice groups --json="$work/steps/$steps-kernel.json" &
	asked=$!
	sluice groups --compute --json="$work/steps/$steps-computed.json" ||
		vm_fail "step $steps: no computed groups"
	wait $asked || vm_fail "step $steps: no groups of the kernel"
	echo "$steps $1 $2" >>$work/steps/list
}

# The device's driver is in the list of ids: nothing is bound by hand.
bound() {
	[ "$(vm_driver "$1")" = vfio-pci ]
}

# begin BDF: the controller is driven, until somebody wants it back.
begin() {
	: >>"$work/journal$1"
	cp "$work/journal$1" $work/before
	nvme_rw "$1" stress --verify --irq --journal "$work/journal$1" \
		--depth 8 --seconds 1000 >$work/said 2>&1 &
	pid=$!
	vm_await "round $round: no I/O begins: $1" begun "$1"
}

# Transfers, that is, not only the header of a new journal.
begun() {
	kill -0 $pid || vm_fail "round $round: $1: $(cat $work/said)"
	! cmp -s "$work/journal$1" $work/before &&
		[ "$(tr -d '\000' <"$work/journal$1" | wc -c)" -gt 12 ]
}

# ended BDF: the process of begin has seen that the device was asked for.
ended() {
	status=0
	wait $pid || status=$?
	vm_text=$(cat $work/said)
	[ "$status" = 3 ] || vm_fail \
		"round $round: $1: exit status $status, expected 3: $vm_text"
	vm_says 'wants the device back' ' errors 0 wrong-bytes 0 '
}

# gone ID BDF N: the host has it, for the Nth time.
gone() {
	vm_host_gone "$1" "$3"
	vm_absent "$2"
	step lacks "$2"
}

port_round() {
	begin $VM_HP0
	vm_host "device_del hp0"
	ended $VM_HP0
	port=$((port + 1))
	gone hp0 $VM_HP0 $port
	vm_plug 0
	vm_await "no driver for $VM_HP0" bound $VM_HP0
	step has $VM_HP0
}

add_disk() {
	vm_host "device_add nvme,id=cn,bus=conv,addr=1,serial=cn,drive=convdisk"
	vm_present $VM_CONV0
	vm_await "no driver for $VM_CONV0" bound $VM_CONV0
	step has $VM_CONV0
}

add_edu() {
	vm_host "device_add edu,id=ce,bus=conv,addr=2"
	vm_present $VM_CONV1
	step has $VM_CONV1
	[ "$(vm_group $VM_CONV1)" = "$(vm_group $VM_CONV_BRIDGE)" ] ||
		vm_fail "$VM_CONV1 is not in the bridge's group"
}

del_edu() {
	vm_host "device_del ce"
	edu=$((edu + 1))
	gone ce $VM_CONV1 $edu
}

bridge_round() {
	bridge=$((bridge + 1))
	add_disk
	begin $VM_CONV0
	[ $((bridge % 2)) = 0 ] || add_edu
	vm_host "device_del cn"
	ended $VM_CONV0
	gone cn $VM_CONV0 $bridge
	[ $((bridge % 2)) != 0 ] || del_edu
}

guest() {
	rm -rf "$SLUICE_OUT/steps"
	mkdir $work/steps
	trap 'cp -r $work/steps "$SLUICE_OUT"' EXIT
	steps=0 port=0 bridge=0 edu=0 round=0
	vm_near "$nvme_rw" "$SLUICE_BUILD/tools/sluice"
	echo 1b36 0010 >/sys/bus/pci/drivers/vfio-pci/new_id
	vm_bind vfio-pci $VM_NVME0 $VM_HP0
	step has $VM_HP0
	nice nvme_rw $VM_NVME0 stress --verify --irq --depth 8 --seconds 1000 \
		--journal $work/stays >$work/stays-said 2>&1 &
	stays=$!
	while [ $round -lt $rounds ]; do
		read -r up _ </proc/uptime
		[ "${SLUICE_LONG:-0}" = 1 ] || [ "${up%.*}" -lt $limit ] ||
			break
		round=$((round + 1))
		if [ $((round % 2)) = 0 ]; then
			bridge_round
		else
			port_round
		fi
		kill -0 $stays || vm_fail "$(cat $work/stays-said)"
		vm_no_faults
		echo "round $round begun at ${up} s"
	done
	kill $stays
	status=0
	wait $stays || status=$?
	vm_text=$(cat $work/stays-said)
	echo "$vm_text"
	[ $status = 0 ] || vm_fail "exit status $status of the one that stays"
	vm_says ' errors 0 wrong-bytes 0 '
	# What all the runs wrote is on the disks.
	vm_run 0 nvme_rw $VM_HP0 stress --check --irq \
		--journal $work/journal$VM_HP0
	vm_says ' errors 0 wrong-bytes 0 '
	vm_no_faults
	echo "$round rounds of $rounds, $steps steps"
}

host() {
	set --
	while read -r nr how bdf; do
		kernel=$SLUICE_OUT/steps/$nr-kernel.json
		found=lacks
		! grep -q "\"$bdf\"" "$kernel" || found=has
		[ $found = "$how" ] ||
			vm_fail "step $nr: the machine $found $bdf"
		set -- "$@" "$kernel" "$SLUICE_OUT/steps/$nr-computed.json"
	done <"$SLUICE_OUT/steps/list"
	python3 "$SLUICE_VM/same-groups.py" "$@" || vm_fail "groups differ"
	rm -r "$SLUICE_OUT/steps"
}

vm_main "$@"
