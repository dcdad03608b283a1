# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# What scripts/run and scripts/test share; sourced from the root of the tree.
# Knows how a build folder is made, not what is done in it.

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

jobs=$(nproc 2>/dev/null || echo 2)

# SLUICE_NO_SETUP=1: the machine is complete, do not look.
prepare_machine() {
	[ -n "${SLUICE_NO_SETUP-}" ] || scripts/setup
}

# configure FOLDER COMPILER C++COMPILER [meson options]: makes the build folder,
# anew when it was made with other options.
configure() {
	dir=$1
	cc=$2
	cxx=$3
	shift 3
	stamp=$dir/.sluice-options
	want="$cc $cxx $*"
	if [ -f "$dir/build.ninja" ] &&
		[ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
		return 0
	fi
	if [ -f "$dir/meson-private/coredata.dat" ]; then
		set -- --wipe "$@"
	fi
	# No flags of the caller: what is tested is what the options say.
	env -u CFLAGS -u CXXFLAGS -u LDFLAGS -u CPPFLAGS CC="$cc" CXX="$cxx" \
		meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
		tail -n 40 "$dir.log" >&2
		rm -f "$dir.log"
		return 1
	}
	mv "$dir.log" "$dir/setup.log"
	printf '%s\n' "$want" >"$stamp"
}

# compile FOLDER: quiet when it goes well.
compile() {
	ninja -C "$1" -j "$jobs" >"$1/compile.log" 2>&1 || {
		tail -n 60 "$1/compile.log" >&2
		return 1
	}
}

release='-Dbuildtype=release -Dwerror=true'
