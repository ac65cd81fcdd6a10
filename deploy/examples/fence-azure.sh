#!/bin/sh
# An example of a fence script (hooks.fence) for virtual machines on Azure: it powers off the machine of the host that held the
# address before, and exits with 0 only once Azure says that it is off. vipd runs it on the new holder, and starts the service
# there afterwards. The machine stays off until somebody has looked at it and starts it.
#
# Why off, and not "az vm restart": after a restart a machine is running, as it was before, and nobody could tell the one from
# the other.
#
# Once on each host, as root:
#   install the Azure CLI: https://aka.ms/azure-cli
#   give the machine a managed identity that may do this, and no more, with the machines of the group:
#     Microsoft.Compute/virtualMachines/read
#     Microsoft.Compute/virtualMachines/instanceView/read
#     Microsoft.Compute/virtualMachines/powerOff/action
#   az login --identity
#   try it on a machine that may be off: VIPD_OLD_HOLDER=vm3 ./fence-azure.sh INSTANCE vipd FENCE 100
#
# hooks.timeout must be longer than WAIT and some seconds: to power a machine off can take a minute.
#
# Its arguments are those of a notify script, with FENCE as the state. VIPD_OLD_HOLDER is the member that is to be fenced.

RESOURCE_GROUP= # <- the group that the machines are in
SUBSCRIPTION=   # the name or id of theirs; empty: the one of the login
WAIT=90         # seconds after which it is given up

# With examples/unprivileged.conf the script may not read /root: log in as vipd, and have the login read, with another directory.
# export AZURE_CONFIG_DIR=/var/lib/vipd/azure

# vm_of prints the name of a member's machine. Where it is not the member's own name, write a line for it.
vm_of() {
	case "$1" in
	# vm1) echo production-web-1 ;;
	*) echo "$1" ;;
	esac
}

fail() {
	echo "$1" >&2
	exit 1
}

# vm runs one of the commands of "az vm" on the machine.
vm() {
	verb="$1"
	shift
	az vm "$verb" --resource-group "$RESOURCE_GROUP" --name "$machine" --only-show-errors \
		${SUBSCRIPTION:+--subscription "$SUBSCRIPTION"} "$@"
}

power_state() {
	vm get-instance-view --query "instanceView.statuses[?starts_with(code, 'PowerState/')].code | [0]" --output tsv
}

[ "${3:-}" = FENCE ] || fail "this is a fence script, it can't be called with ${3:-nothing}: use it as hooks.fence only"
[ -n "${VIPD_OLD_HOLDER:-}" ] || fail "VIPD_OLD_HOLDER is empty: nobody is named who could be fenced"
[ -n "$RESOURCE_GROUP" ] || fail "RESOURCE_GROUP is not set: write the group of the machines at the top of $0"
command -v az >/dev/null || fail "the Azure CLI (az) is not installed on this host: https://aka.ms/azure-cli"

machine=$(vm_of "$VIPD_OLD_HOLDER")
end=$(($(date +%s) + WAIT))
asked=
echo "powering off $machine in $RESOURCE_GROUP"
while :; do
	# --skip-shutdown is the power switch; the system in the machine is not asked, it may hang. A refusal (another operation is
	# running, say) is no reason to give up while there is time.
	[ -n "$asked" ] || { vm stop --skip-shutdown --no-wait && asked=yes; }
	if ! state=$(power_state); then
		state="not known"
		# Without either of the two there is nothing to wait for.
		if [ -z "$asked" ]; then
			az account show >/dev/null 2>&1 || fail "$machine is not fenced: az is not logged in; as root: az login --identity"
			fail "$machine is not fenced: Azure refuses, see above; is there such a machine in $RESOURCE_GROUP (vm_of in $0), and may this login stop it?"
		fi
	fi
	case "$state" in
	PowerState/stopped | PowerState/deallocated)
		echo "$machine is off"
		exit 0
		;;
	esac
	[ "$(date +%s)" -lt "$end" ] || fail "$machine is not fenced: after $WAIT s its state is $state; look at it in the portal"
	sleep 2
done
