#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Inside the SmartNIC machine: export /dev/vda as it is until told to stop.

set -euo pipefail
# shellcheck source=tests/lab/nic.sh
. "$SLUICE_TOP/tests/lab/nic.sh"

echo "controller $(nic_controller)"
"$SLUICE_TOP/tests/lab/export-raw.sh" start "${1:-/dev/vda}"
nic_say exported
nic_hear stop
"$SLUICE_TOP/tests/lab/export-raw.sh" stop
nic_unload
# Whatever the driver and nvmet leave behind, this shows it.
nic_controller >/dev/null
nic_unload
